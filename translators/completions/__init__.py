"""POST /v1/completions: its request as calls to Claude, Claude's events as its chunks or answer."""
