"""Scripted answers, faults and pacing: where a script comes from, and what it may say.

A script is a JSON object. It comes, first found first used, from the request header `x-simulate`, from `[[simulate:
{...}]]` in the last user text (for clients that cannot set a header of the call to Claude), or from a file: a list of
objects, each with a `match` (a substring of the last user text) or, without one, used once and in order.

A list, `[[simulate: [{...}, {...}]]]`, scripts what follows from a text: its entries answer one call each, of all whose
conversation holds that text, the calls with tool results too.
"""

import itertools
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import msgspec

from addon.simulated_claude.errors import ClaudeError, invalid_request

__all__ = ["Script", "ScriptedError", "Scripts", "scripted_error", "without_inline_script"]

INLINE_START = re.compile(r"\[\[simulate:\s*")
INLINE_END = re.compile(r"\s*\]\]")
_INLINE = "[[simulate: ...]]"


type _HeaderName = Annotated[str, msgspec.Meta(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")]
type _HeaderValue = Annotated[str, msgspec.Meta(pattern=r"^[^\r\n\0]*\Z")]


class ScriptedError(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The error that a script asks for."""

    type: str | None = None
    message: str = "Overloaded"
    details: dict[str, Any] | None = None


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a script may say. Everything is optional; what it leaves open is answered as usual."""

    match: str | None = None
    """File entries only: the substring of the last user text that this entry answers."""
    times: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """Apply to the first so many matching requests, and then answer as usual (in a list: then go on to the next entry).
    `id` keeps the counters apart."""
    id: str = ""

    text: str | None = None
    content: list[dict[str, Any]] | None = None
    """Blocks to answer verbatim; ids and signatures that are missing are made."""
    stop_reason: str | None = None
    stop_details: dict[str, Any] | None = None

    events: list[dict[str, Any] | str] | None = None
    """Streamed events: objects are encoded, strings are the `event:` and `data:` lines verbatim."""
    raw: str | None = None
    """The body verbatim, whatever it is, of an answer with `status`."""

    status: Annotated[int, msgspec.Meta(ge=200, le=599)] | None = None
    error: ScriptedError | None = None
    """In a batch, `status` and `error` make the request's result `errored`."""
    batch_result: Literal["canceled", "expired"] | None = None
    """In a batch: what becomes of the request instead of an answer."""
    headers: dict[_HeaderName, _HeaderValue] = {}

    error_after_events: int | None = None
    cut_after_events: int | None = None
    stall_after_events: int | None = None
    stall_seconds: float = 3600.0
    ping_interval: float | None = None

    delay: float | None = None
    event_interval: float | None = None
    chunk_bytes: Annotated[int, msgspec.Meta(ge=1)] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be sent: msgspec makes its own error of this one."""
        parts = [*(self.content or ()), *(event for event in self.events or () if not isinstance(event, str))]
        if not all(isinstance(part.get("type"), str) for part in parts):
            raise ValueError("each block of `content` and each object in `events` has a `type`")


def _parse_script[T](text: str, source: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.MsgspecError as malformed:
        raise invalid_request(f"{source}: not a script of the simulated Claude: {malformed}") from malformed


def _find_inline_script(text: str) -> tuple[int, int, str] | None:
    """Find the first script in a text: where it starts, where it ends, and its JSON."""
    start = INLINE_START.search(text)
    if start is None:
        return None
    try:
        # The JSON itself tells where it ends: it may hold brackets.
        _, stop = json.JSONDecoder().raw_decode(text, start.end())
    except json.JSONDecodeError:
        stop = text.find("]]", start.end())
    end = INLINE_END.match(text, stop) if stop >= 0 else None
    return None if end is None else (start.start(), end.end(), text[start.end() : stop])


def without_inline_script(text: str) -> str:
    """Give the text as the user meant it, without the script in it."""
    found = _find_inline_script(text)
    return text if found is None else (text[: found[0]] + text[found[1] :]).strip()


class Scripts:
    """The scripts of one simulated Claude, and how often each was used."""

    def __init__(self, entries: list[Script]) -> None:
        self._entries = entries
        self._used: Counter[str] = Counter()

    @classmethod
    def read(cls, path: Path | None) -> Self:
        """Read a script file. Raises ValueError with the reason when it is none."""
        if path is None:
            return cls([])
        try:
            return cls(msgspec.json.decode(path.read_bytes(), type=list[Script]))
        except msgspec.MsgspecError as malformed:
            raise ValueError(f"{path}: not a list of scripts: {malformed}") from malformed

    def find(self, header: str | None, user_texts: Sequence[str]) -> Script | None:
        """Find the script for a request, and count it as used.

        Args:
            header: the value of `x-simulate`.
            user_texts: what the user said in each turn, the last turn last.

        Raises:
            ClaudeError: the script cannot be read.
        """
        if header is not None:
            return self._use(header, _parse_script(header, "x-simulate", Script))
        last_user_text = user_texts[-1] if user_texts else ""
        inline = next(filter(None, map(_find_inline_script, reversed(user_texts))), None)
        if inline is not None and inline[2].startswith("["):
            return self._next(inline[2], _parse_script(inline[2], _INLINE, list[Script]))
        if inline is not None and inline == _find_inline_script(last_user_text):
            return self._use(inline[2], _parse_script(inline[2], _INLINE, Script))
        for index, entry in enumerate(self._entries):
            if entry.match is None or entry.match in last_user_text:
                times = 1 if entry.match is None and entry.times is None else entry.times
                if times is None or self._used[f"#{index}"] < times:
                    self._used[f"#{index}"] += 1
                    return entry
        return None

    def _next(self, key: str, scripts: list[Script]) -> Script | None:
        self._used[key] += 1
        upto = itertools.accumulate(script.times or 1 for script in scripts)
        return next((script for script, last in zip(scripts, upto, strict=True) if self._used[key] <= last), None)

    def _use(self, key: str, script: Script) -> Script | None:
        if script.times is None:
            return script
        self._used[key] += 1
        return script if self._used[key] <= script.times else None


def scripted_error(script: Script) -> ClaudeError:
    """Make the HTTP error of a script that has a `status`."""
    status = script.status or 500
    error = script.error or ScriptedError(message="Overloaded" if status == 529 else "A scripted error")
    return ClaudeError(status, error.message, error_type=error.type, details=error.details, headers=script.headers)
