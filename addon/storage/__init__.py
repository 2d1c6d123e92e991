"""What outlives a request: the store, its two kinds, and what lies in it for all endpoints alike."""
