"""The errors that a user can cause, each one plain sentence: what, where, and how to mend it.

The command line turns any `EvoliftError` into its message and exit code 2. Everything else that
escapes is a defect of ours and shows its traceback.
"""


class EvoliftError(Exception):
    """Base of all errors that the user can mend."""

    def __init__(self, message: str = "") -> None:
        # A worker of torch's DataLoader hands an error over as one of the same class whose message is its traceback.
        if message.startswith("Caught ") and "Original Traceback" in message:
            message = message.rpartition(f"{type(self).__module__}.{type(self).__name__}: ")[2].rstrip()
        super().__init__(message)


class InputError(EvoliftError):
    """A file or an option that the user gave cannot be used."""


class StoreError(EvoliftError):
    """A pose store is damaged, incomplete, of another skeleton or of another version."""


class CheckpointError(EvoliftError):
    """A checkpoint is damaged, of another stage, or does not fit what it is asked to do."""


class OutputError(EvoliftError):
    """The output exists already, or cannot be written."""
