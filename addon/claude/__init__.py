"""Claude, asked through the official SDK: calls, answers, failures, and what is kept of answers."""
