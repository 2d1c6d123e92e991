"""The Responses API and its conversations."""
