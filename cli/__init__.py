"""The command line: click commands, one module per stage, and recipes. Holds no logic beyond arguments and printing."""
