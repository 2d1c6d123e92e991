"""GET /v1/models: Claude's models and the configured aliases in OpenAI's shape."""
