"""The assistant's content blocks, gathered from events, in the form in which Claude takes them back.

Sent back unmodified: thinking with its signature, opaque data, the blocks of Claude's own tools. Left out is only what
Claude would refuse: text of white space alone, and thinking without a signature (its stream was cut).
"""

from typing import Any

import msgspec
from msgspec import UNSET, Raw

from translators.claude_events import Delta, MalformedEventError
from translators.tools import parse_arguments

__all__ = ["ContentBlockBuilder"]


class ContentBlockBuilder:
    """One block: what `content_block_start` gave, with the deltas added to it."""

    __slots__ = ("_citations", "_partial_json", "_signatures", "_start", "_texts", "_thinking", "type")

    def __init__(self, raw: Raw) -> None:
        start = _decode(raw)
        if not isinstance(start, dict):
            raise MalformedEventError("a content block that is not an object")
        self._start: dict[str, Any] = start
        self.type = str(start.get("type", ""))
        if self.type == "text" and not isinstance(start.get("citations") or [], list):
            raise MalformedEventError("citations that are not a list")
        self._texts: list[str] = []
        self._thinking: list[str] = []
        self._signatures: list[str] = []
        self._partial_json: list[str] = []
        self._citations: list[Any] = []

    def add(self, delta: Delta) -> None:
        """Add a delta. One of an unknown type adds nothing."""
        match delta.type:
            case "text_delta":
                self._texts.append(delta.text)
            case "input_json_delta":
                self._partial_json.append(delta.partial_json)
            case "thinking_delta":
                self._thinking.append(delta.thinking)
            case "signature_delta":
                self._signatures.append(delta.signature)
            case "citations_delta" if self.type == "text" and delta.citation is not UNSET:
                self._citations.append(_decode(delta.citation))

    @property
    def written(self) -> int:
        """How much of it came in deltas: bytes of text, thinking and arguments."""
        return sum(len(piece.encode()) for piece in (*self._texts, *self._thinking, *self._partial_json))

    def build(self) -> dict[str, Any] | None:
        """Build the block as it is so far, or None where Claude would not take it back."""
        block = dict(self._start)
        if self._texts:
            block["text"] = block.get("text", "") + "".join(self._texts)
        if self._citations:
            block["citations"] = [*(block.get("citations") or []), *self._citations]
        if self._thinking:
            block["thinking"] = block.get("thinking", "") + "".join(self._thinking)
        if self._signatures:
            block["signature"] = block.get("signature", "") + "".join(self._signatures)
        partial_json = "".join(self._partial_json)
        if partial_json:
            # As the client's copy of the same arguments is parsed when it comes back: the two are compared.
            block["input"] = parse_arguments(partial_json)
        if self.type == "text" and not block.get("text", "").strip():
            return None
        if self.type == "thinking" and not block.get("signature"):
            return None
        return block


def _decode(raw: Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedEventError(f"a part of an event that is not JSON: {error}") from error
