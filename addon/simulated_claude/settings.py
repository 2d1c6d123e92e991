"""How a simulated Claude is set up: pacing, scripts, limits."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

__all__ = ["SimulationSettings"]


@dataclass(frozen=True, slots=True)
class SimulationSettings:
    """Everything that can be chosen; the defaults feel like a quick model on a good line."""

    delay: float = 0.05
    """Seconds before the first byte of an answer."""
    batch_delay: float = 0.3
    """Seconds before the first request of a batch is processed; a script's `delay` is that of its request."""
    event_interval: float = 0.005
    """Seconds between two streamed events."""
    ping_interval: float = 0.0
    """Seconds of a stall after which a `ping` event is sent; 0 sends none but the one after `message_start`."""
    script_file: Path | None = None
    """A JSON file with scripted answers (see `scripts`)."""
    fast: bool = False
    """For benches: no validation, no journal, pre-encoded events; the body's `chunks=N` sets the length."""
    check_thinking_prefix: bool = True
    """Refuse thinking that is bound to another conversation, as for accounts created since 2026-08-31."""
    journal_size: int = 1000
    """How many received requests are kept; the oldest go first."""

    @classmethod
    def instant(cls, script_file: Path | None = None) -> Self:
        """Answer without any waiting, for tests."""
        return cls(delay=0.0, batch_delay=0.0, event_interval=0.0, script_file=script_file)
