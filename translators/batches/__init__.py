"""OpenAI's Batch API: the batch object, its input and output files, and how its lines travel in Claude's batches."""
