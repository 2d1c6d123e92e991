"""The text inside `{"input": "..."}` while that JSON is still being written.

Claude has no tools with raw text as input, so an OpenAI tool of type `custom` is declared with one string property. Its
client expects the raw text, piece by piece: escapes are decoded as they complete, also where two pieces cut them, or
cut the two halves of a surrogate pair.
"""

import json
import re
from enum import Enum, auto

import msgspec

__all__ = ["INPUT_FIELD", "InputStringDecoder", "unwrap_input"]

INPUT_FIELD = "input"
"""The property that holds what is not an object."""

_OPENING_WITHOUT_SPACE = '{"input":"'
_OPENING = re.compile(r'\s*\{\s*"input"\s*:\s*"')
# The longest run of whole characters and whole escapes; a high surrogate counts as whole only with what follows it.
_WHOLE = re.compile(
    r"""(?:[^"\\]"""
    r"""|\\[^u]"""
    r"""|\\u(?![dD][89abAB])[0-9a-fA-F]{4}"""
    r"""|\\u[dD][89abAB][0-9a-fA-F]{2}(?=\\u[0-9a-fA-F]{4}|\\[^u]|[^\\])(?:\\u[dD][c-fC-F][0-9a-fA-F]{2})?"""
    r""")*"""
)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


class _State(Enum):
    BEFORE = auto()
    INSIDE = auto()
    AFTER = auto()


class InputStringDecoder:
    """Decodes the string of `{"input": "..."}` from pieces of its JSON.

    JSON of any other shape is not decoded but returned by `finish`: a model may break the schema, and the client sees
    what it wrote.
    """

    def __init__(self) -> None:
        self._state = _State.BEFORE
        self._held = ""

    def feed(self, partial_json: str) -> str:
        """Take the next piece of JSON; return the characters that it completes."""
        if self._state is _State.AFTER:
            return ""
        self._held += partial_json
        if self._state is _State.BEFORE:
            opening = _OPENING.match(self._held)
            if opening is None:
                return ""
            self._state = _State.INSIDE
            self._held = self._held[opening.end() :]
        whole = _WHOLE.match(self._held)
        end = whole.end() if whole else 0
        text, self._held = self._held[:end], self._held[end:]
        if self._held.startswith('"'):
            self._state = _State.AFTER
            self._held = ""
        return _decode(text)

    def finish(self) -> str:
        """Return what is left at the end of the JSON.

        An escape that was cut off is lost: it stands for no character.
        """
        held, self._held = self._held, ""
        if self._state is not _State.BEFORE or _OPENING_WITHOUT_SPACE.startswith("".join(held.split())):
            return ""
        try:
            value = msgspec.json.decode(unwrap_input(held))
        except (msgspec.DecodeError, RecursionError):
            return held
        return value if isinstance(value, str) else unwrap_input(held)


def _decode(text: str) -> str:
    if "\\" not in text:
        return text
    try:
        decoded = json.loads(f'"{text}"', strict=False)
    except ValueError:  # an escape that JSON does not know: shown as written
        return text
    # A lone half of a surrogate pair cannot be sent as UTF-8.
    return str(decoded).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def unwrap_input(arguments: str) -> str:
    """Return the JSON of the one property `input`, or the JSON itself where it has another shape or was cut off."""
    try:
        properties = _OBJECT.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return arguments
    if properties.keys() != {INPUT_FIELD}:
        return arguments
    return bytes(properties[INPUT_FIELD]).decode()
