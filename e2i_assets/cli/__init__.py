"""The `e2i` command. Nothing heavy is imported before a command runs, so that `--help` answers at once."""
