"""What log line, metrics and trace say of an exchange."""

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from addon.claude.prices import Bill, Prices
from addon.claude.response_cache import CacheOutcome
from translators.claude_events import Usage
from translators.errors import OpenAIError
from translators.translation_warning import TranslationWarning

__all__ = ["CallTimes", "Figures"]


@dataclass(frozen=True, slots=True)
class CallTimes:
    """One call to Claude, its retries included. Times as in `Figures`; the error is a code."""

    started: float
    ended: float
    error: str | None


@dataclass
class Figures:
    """The figures of one exchange. Times are of `time.perf_counter`, None until they come."""

    model: str | None = None
    claude_model: str | None = None
    backend: str | None = None
    """Who was asked, if not Claude's own API: another backend of Claude, or the row of `other_backends`."""
    fallback: str | None = None
    """The model of `claude.fallbacks` that was asked after another one had failed."""
    stream: bool = False
    claude_request_id: str | None = None
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cache_write_tokens: int = 0
    """Part of `input_tokens`, as `cached_tokens` is."""
    cost: float = 0.0
    """Dollars, by list prices."""
    cache: CacheOutcome | None = None
    """What the cache had to do with the answer. Claude bills nothing but a miss."""
    response_model: str | None = None
    """The model as Claude's answer names it."""
    writes: int = 0
    """How many pieces of a streamed answer went out."""
    retries: int = 0
    warnings: tuple[TranslationWarning, ...] = ()
    asked_claude: float | None = None
    first_event: float | None = None
    first_byte: float | None = None
    calls: list[CallTimes] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    """What Claude answered, one for each call, if the log is to say anything of it."""

    def begin_asking(self) -> None:
        """Note that from now on Claude's time passes, not ours alone."""
        self.asked_claude = self.asked_claude or time.perf_counter()

    def asking(self) -> AbstractContextManager[None]:
        """Note the times of a call to Claude, which is what happens inside."""
        return _Asking(self)

    def overhead(self, started: float) -> float | None:
        """Return our own seconds until the first byte: all of them but the wait for Claude; None if there was no byte.

        Where a stream begins, that is the wait for its first event; a whole answer goes out when Claude's has ended.
        """
        if self.first_byte is None:
            return None
        ended_before = [call.ended for call in self.calls if call.ended <= self.first_byte]
        waited_until = max(ended_before, default=self.first_event)
        if self.asked_claude is None or waited_until is None:
            return round(self.first_byte - started, 6)
        return round(self.asked_claude - started + max(0.0, self.first_byte - waited_until), 6)

    def comment(self, seconds: float) -> str:
        """Write what mitmproxy's views show beside the flow: the models, the tokens and how long it took."""
        if self.claude_model is None:
            return ""
        cached = f" ({self.cached_tokens} cached)" if self.cached_tokens else ""
        return (
            f"{self.model} -> {self.claude_model}: {self.input_tokens} in{cached}, "
            f"{self.output_tokens} out, {seconds:.2f} s"
        )

    def add(self, other: "Figures") -> None:
        """Add the calls of another that were made for the same answer, and what they used."""
        self.calls += other.calls
        self.answers += other.answers
        self.input_tokens += other.input_tokens
        self.cached_tokens += other.cached_tokens
        self.cache_write_tokens += other.cache_write_tokens
        self.output_tokens += other.output_tokens
        self.cost += other.cost
        self.retries += other.retries

    def count(self, usage: Usage, prices: Prices) -> Bill:
        """Add what one answer of Claude used, whole or as far as it came; return what Claude bills for it."""
        cached, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
        self.input_tokens += (usage.input_tokens or 0) + cached + written
        self.cached_tokens += cached
        self.cache_write_tokens += written
        self.output_tokens += usage.output_tokens or 0
        if self.cache in ("hit", "shared"):
            return Bill()
        cost = prices.cost(self.claude_model, usage)
        self.cost += cost
        return Bill((usage.input_tokens or 0) + cached + written + (usage.output_tokens or 0), cost)


class _Asking:
    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def __enter__(self) -> None:
        self._figures.begin_asking()
        self._started = time.perf_counter()

    def __exit__(self, _kind: object, failure: BaseException | None, _traceback: object) -> None:
        error = None if failure is None else type(failure).__name__
        if isinstance(failure, OpenAIError):
            error = failure.code or str(failure.status)
        self._figures.calls.append(CallTimes(self._started, time.perf_counter(), error))
