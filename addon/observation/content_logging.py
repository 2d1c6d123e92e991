"""Prompts and answers in the log, for operators who want them there: as a hash, or in full. The default is neither."""

import hashlib
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

__all__ = ["ContentLogging", "content_fields"]

type ContentLogging = Literal["off", "hash", "full"]


def content_fields(how: ContentLogging, prompt: bytes, answers: Sequence[Any]) -> dict[str, str]:
    """Make the fields of a log line: `prompt`, the request's body, and `answer`, Claude's content.

    Keys in them are masked where every line is written (`addon.observation.logs`).

    Args:
        how: `hash` gives the length in bytes and the beginning of the SHA-256 sum, as Envoy AI Gateway writes them:
            equal contents can be told, but not read. Nothing is made for `off`.
        prompt: empty for none.
        answers: the content blocks of each call of Claude.
    """
    if how == "off":
        return {}
    answer = msgspec.json.encode(answers[0] if len(answers) == 1 else answers) if answers else b""
    contents = {"prompt": prompt, "answer": answer}
    return {name: _describe(how, content) for name, content in contents.items() if content}


def _describe(how: ContentLogging, content: bytes) -> str:
    if how == "full":
        return content.decode(errors="replace")
    return f"[REDACTED LENGTH={len(content)} HASH={hashlib.sha256(content).hexdigest()[:8]}]"
