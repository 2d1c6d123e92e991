"""The input of a tool call as its client reads it, out of the pieces of JSON in which Claude writes it.

| the client declared | Claude's input | the client reads |
|---|---|---|
| a function | its arguments | the JSON, each piece as it comes |
| a function whose parameters are no object | `{"input": value}` | the value's JSON, in one piece at the end |
| a custom tool | `{"input": "text"}` | the text, decoded as it comes |
"""

from typing import Any, Protocol

import msgspec

from translators.json_string import InputStringDecoder, unwrap_input

__all__ = ["ArgumentsReader", "RawInputReader", "ToolInputReader", "WrappedArgumentsReader"]


class ToolInputReader(Protocol):
    """Reads one input. Both methods return what the client gets to read of it, which may be nothing."""

    def feed(self, partial_json: str) -> str:
        """Take the next piece (Claude's first one often is empty)."""

    def finish(self, whole_input: Any) -> str:
        """End the input. `whole_input` is the input that came with the block itself, used if no pieces came."""


class ArgumentsReader:
    """Reads the arguments of a function: the JSON of Claude's input is the JSON of OpenAI's arguments."""

    def __init__(self) -> None:
        self._began = False

    def feed(self, partial_json: str) -> str:
        """Pass the piece on."""
        if partial_json:
            self._began = True
        return partial_json

    def finish(self, whole_input: Any) -> str:
        """Return the whole input, `{}` at least, if no piece came."""
        return "" if self._began else _encode(whole_input)


class WrappedArgumentsReader:
    """Reads the arguments of a function whose parameters are no object: the value without the object around it."""

    def __init__(self) -> None:
        self._pieces: list[str] = []

    def feed(self, partial_json: str) -> str:
        """Gather: where the value ends is known only at the end of the object around it."""
        self._pieces.append(partial_json)
        return ""

    def finish(self, whole_input: Any) -> str:
        """Return the value."""
        return unwrap_input("".join(self._pieces) or _encode(whole_input))


class RawInputReader:
    """Reads the input of a custom tool: text."""

    def __init__(self) -> None:
        self._decoder = InputStringDecoder()
        self._began = False

    def feed(self, partial_json: str) -> str:
        """Return the characters that this piece completes."""
        self._began = self._began or bool(partial_json)
        return self._decoder.feed(partial_json)

    def finish(self, whole_input: Any) -> str:
        """Return what is left."""
        text = "" if self._began or not whole_input else self._decoder.feed(_encode(whole_input))
        return text + self._decoder.finish()


def _encode(value: Any) -> str:
    return msgspec.json.encode(value or {}).decode()
