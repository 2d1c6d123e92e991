"""A Markdown code fence around an answer that has to be JSON alone, taken off while the text comes in pieces.

Claude has no mode for "any JSON object", so `response_format: json_object` is asked in words, and some answers come in
a fence.
"""

import re
from enum import Enum, auto

__all__ = ["CodeFenceStripper"]

_FENCE = "```"
_OPENING = re.compile(r"\s*```[\w+-]*[ \t]*\r?\n?")
_MAY_BECOME_OPENING = re.compile(r"\s*(?:`{0,2}|```[\w+-]*[ \t]*\r?)\Z")
_MAY_BECOME_CLOSING = re.compile(r"\s*`{0,3}\s*\Z")
# JSON has no line feed inside a string, so a line that starts with a fence ends the JSON.
_CLOSING = re.compile(r"\s*\n[ \t]*```")


class _State(Enum):
    START = auto()
    PLAIN = auto()
    FENCED = auto()
    CLOSED = auto()


class CodeFenceStripper:
    """Passes a text on without the fence around it. A text that does not begin with a fence passes unchanged.

    Holds back only a beginning that may still become a fence and, inside a fence, an end that may be its closing.
    What follows the closing fence is no part of the JSON and is left out.
    """

    def __init__(self) -> None:
        self._state = _State.START
        self._held = ""
        self.opening_length = 0
        """Characters of the fence that were taken off before the text."""

    def feed(self, text: str) -> str:
        """Take the next piece; return what is certain to belong to the answer."""
        if self._state is _State.PLAIN:
            return text
        text = self._held + text
        self._held = ""
        if self._state is _State.START:
            if _MAY_BECOME_OPENING.fullmatch(text):
                self._held = text
                return ""
            opening = _OPENING.match(text)
            if opening is None:
                self._state = _State.PLAIN
                return text
            self._state = _State.FENCED
            self.opening_length = opening.end()
            text = text[opening.end() :]
        if self._state is _State.CLOSED:
            return ""
        closing = _CLOSING.search(text)
        if closing is not None:
            self._state = _State.CLOSED
            return text[: closing.start()]
        end = _MAY_BECOME_CLOSING.search(text)
        if end is None:
            return text
        self._held = end.group()
        return text[: end.start()]

    def flush(self) -> str:
        """Return what was held back and is no fence: the text has ended."""
        held, self._held = self._held, ""
        if self._state is _State.FENCED and _FENCE in held:
            return ""
        if self._state is _State.START and _OPENING.fullmatch(held):
            return ""
        return held
