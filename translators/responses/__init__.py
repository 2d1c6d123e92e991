"""The Responses API, translated to and from Claude's Messages API."""
