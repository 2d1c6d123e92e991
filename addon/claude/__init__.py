"""Claude, asked through the official SDK: calls, answers, failures, and what is kept of answers."""

from addon.claude.late_imports import import_late

import_late("anthropic")  # before any module here imports it
