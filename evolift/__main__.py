"""`python -m evolift`: the command `evolift`."""

from evolift.cli.main import main

main()
