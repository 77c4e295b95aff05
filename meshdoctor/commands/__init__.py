"""One file per sub-command, each imported only when it is chosen."""
