"""The commands: flags, messages, exit codes."""
