"""The order in which Claude's events may come.

https://platform.claude.com/docs/en/build-with-claude/streaming has the grammar. Blocks have their own order, which the
stream checks by the set of those that are open.
"""

from collections.abc import Mapping
from enum import IntEnum, auto
from types import MappingProxyType

__all__ = ["LEGAL_EVENTS", "IllegalEventOrderError", "Phase"]


class IllegalEventOrderError(ValueError):
    """Claude's events came in an order that its grammar does not have.

    Two streams were spliced, or one lost a part: what was sent to the client cannot be trusted to be one answer.
    """


class Phase(IntEnum):
    """Where a stream is.

    AWAITING_MESSAGE ── message_start ─> IN_MESSAGE ── a stop reason ─> ENDING ── message_stop ─> COMPLETED
           ^                                 │ │                          │
           └──────── resume ── PAUSED <──────┼─┼── message_stop after pause_turn
                                             │ └── a stop string of ours ─> STOPPED_EARLY
                                             └── error ─> FAILED
    """

    AWAITING_MESSAGE = auto()
    IN_MESSAGE = auto()
    ENDING = auto()
    PAUSED = auto()
    COMPLETED = auto()
    STOPPED_EARLY = auto()
    FAILED = auto()


_IN_MESSAGE = frozenset(
    {
        "message_start",  # again, of the same message
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
        "error",
    }
)
_AFTERWARDS = frozenset({"ping"})

LEGAL_EVENTS: Mapping[Phase, frozenset[str]] = MappingProxyType(
    {
        Phase.AWAITING_MESSAGE: frozenset({"message_start", "ping", "error"}),
        Phase.IN_MESSAGE: _IN_MESSAGE,
        Phase.ENDING: frozenset({"message_delta", "message_stop", "ping", "error"}),
        Phase.PAUSED: _AFTERWARDS,
        Phase.COMPLETED: _AFTERWARDS,
        # The answer is whole already: what Claude still sends, an error too, is passed over.
        Phase.STOPPED_EARLY: _IN_MESSAGE,
        Phase.FAILED: _AFTERWARDS,
    }
)
"""Which events may come in which phase."""
