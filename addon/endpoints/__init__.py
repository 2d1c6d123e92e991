"""The endpoints that need one file or two each: Chat Completions, Completions, models, health, Claude's own API."""
