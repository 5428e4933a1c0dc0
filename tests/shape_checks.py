"""The run-time checker that tests put on every function of the package: beartype, with an int taken for a float."""

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
