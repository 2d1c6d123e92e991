"""Uploaded files: the endpoints, and the files that other requests name."""
