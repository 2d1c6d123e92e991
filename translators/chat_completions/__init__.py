"""POST /v1/chat/completions: its request as a Claude Messages request, Claude's events as its chunks or answer."""
