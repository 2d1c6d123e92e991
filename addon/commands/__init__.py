"""The `claude-proxy` command."""
