"""All that the fuzzer feeds."""

from tests.fuzz.claude_targets import CLAUDE_TARGETS
from tests.fuzz.client_targets import CLIENT_TARGETS

__all__ = ["TARGETS"]

TARGETS = (*CLIENT_TARGETS, *CLAUDE_TARGETS)
