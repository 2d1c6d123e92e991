"""Requests of clients, from their bytes to Claude's parameters."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from addon.simulated_claude.errors import ClaudeError
from addon.simulated_claude.validation import check_request
from translators.model_catalog import ModelCatalog
from translators.responses.request import ResponsesContext, TranslatedResponsesRequest, translate_request
from translators.responses.request_body import parse_request

type Body = dict[str, Any]

KEY = b"secret of the tests"


def translate(*, context: Mapping[str, Any] | None = None, **body: Any) -> TranslatedResponsesRequest:
    """Translate a request. By default it says hello to Opus 5.5."""
    whole = {"model": "claude-opus-5-5", "input": "Hello", **body}
    values: dict[str, Any] = {
        "catalog": ModelCatalog("claude-opus-5-5"),
        "envelope_key": KEY,
        "id_seed": "resp_1",
        **(context or {}),
    }
    return translate_request(parse_request(msgspec.json.encode(whole)), ResponsesContext(**values))


def refusal(translated: TranslatedResponsesRequest) -> str | None:
    """What the simulated Claude, as strict as the real one, has against the request."""
    headers = {"anthropic-version": "2026-10-21", **translated.headers}
    judged = check_request(headers, json.loads(msgspec.json.encode(translated.params)))
    return judged.message if isinstance(judged, ClaudeError) else None


def says(role: str, text: str) -> Body:
    """A message."""
    return {"role": role, "content": text}


def messages_of(translated: TranslatedResponsesRequest) -> list[tuple[str, list[str]]]:
    """Role and block types of each message."""
    return [(it["role"], [block["type"] for block in it["content"]]) for it in translated.params["messages"]]


def warned(translated: TranslatedResponsesRequest) -> set[tuple[str, str]]:
    """Parameter and action of each warning."""
    return {(warning.param, warning.action) for warning in translated.warnings}
