"""The Batch API, on Claude's batches."""
