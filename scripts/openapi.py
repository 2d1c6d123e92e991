"""Writes docs/openapi.json: an OpenAPI description of what the standalone endpoint answers.

Paths are those of addon/routing.py, bodies those of the types that they are parsed to, so nothing is written twice.
Answers are OpenAI's own; only errors are described.
"""
# ruff: noqa: SLF001 - it reads the tables that the addon has for itself

import json
import re
from pathlib import Path
from typing import Any

import msgspec

from addon import routing
from addon.endpoints import stored_completions
from addon.responses import conversations
from addon.routing import Endpoint
from translators.batches.request_body import BatchRequest
from translators.chat_completions.request_types import ChatCompletionRequest
from translators.completions.request_types import CompletionRequest
from translators.responses.request_types import ResponsesParameters
from translators.upload_requests import UploadCompletionRequest, UploadRequest

FILE = Path(__file__).resolve().parent.parent / "docs" / "openapi.json"
BODIES: dict[Endpoint, type] = {
    Endpoint.CHAT_COMPLETIONS: ChatCompletionRequest,
    Endpoint.COMPLETIONS: CompletionRequest,
    Endpoint.RESPONSES: ResponsesParameters,
    Endpoint.RESPONSES_COMPACT: ResponsesParameters,
    Endpoint.RESPONSES_INPUT_TOKENS: ResponsesParameters,
    Endpoint.NEW_UPLOAD: UploadRequest,
    Endpoint.UPLOAD_COMPLETION: UploadCompletionRequest,
    Endpoint.NEW_BATCH: BatchRequest,
    Endpoint.NEW_CONVERSATION: conversations.ConversationBody,
    Endpoint.CONVERSATION_UPDATE: conversations.ConversationBody,
    Endpoint.NEW_CONVERSATION_ITEMS: conversations.ConversationBody,
    Endpoint.STORED_COMPLETION_UPDATE: stored_completions.CompletionUpdate,
}
PAGED = frozenset(
    {
        *(Endpoint.FILES, Endpoint.BATCHES, Endpoint.STORED_COMPLETIONS, Endpoint.STORED_COMPLETION_MESSAGES),
        *(Endpoint.CONVERSATION_ITEMS, Endpoint.RESPONSE_INPUT_ITEMS),
    }
)
FORMS = {
    Endpoint.NEW_FILE: {
        "type": "object",
        "properties": {"file": {"type": "string", "format": "binary"}, "purpose": {"type": "string"}},
        "required": ["file", "purpose"],
    },
    Endpoint.NEW_UPLOAD_PART: {
        "type": "object",
        "properties": {"data": {"type": "string", "format": "binary"}},
        "required": ["data"],
    },
}
ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
            "required": ["message", "type", "param", "code"],
        }
    },
    "required": ["error"],
}
_NAMED = re.compile(r"\(\?P<(\w+)>[^)]*\)")


def build() -> dict[str, Any]:
    """Build the description."""
    types = dict.fromkeys(BODIES.values())
    references, components = msgspec.json.schema_components(list(types), ref_template="#/components/schemas/{name}")
    schema_of = dict(zip(types, references, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for method, pattern, endpoint in routing._ENDPOINTS + routing._STANDALONE_ONLY:
        path = pattern.pattern.replace(routing._STATE, "/v1").replace(routing._PREFIX, "/v1")
        path = _NAMED.sub(r"{\1}", path)
        if f"/v1{path}" not in paths:
            paths.setdefault(path, {}).setdefault(method.lower(), _operation(path, endpoint, schema_of))
    return {
        "openapi": "3.1.0",
        "info": {"title": "Claude Proxy", "version": "1", "description": "OpenAI's API, answered by Claude."},
        "paths": paths,
        "components": {"schemas": {**components, "Error": ERROR}},
    }


def _operation(path: str, endpoint: Endpoint, schema_of: dict[type, Any]) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", path)
    ]
    if endpoint in PAGED:
        parameters += [
            {"name": name, "in": "query", "schema": {"type": "string"}} for name in ("limit", "order", "after")
        ]
    failed = {
        "description": "An error",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    operation: dict[str, Any] = {
        "operationId": f"{endpoint.value}_{path.count('/')}_{path.split('/')[1]}",
        "parameters": parameters,
        "responses": {"200": {"description": "OpenAI's own answer"}, "default": failed},
    }
    if endpoint in BODIES:
        content = {"application/json": {"schema": schema_of[BODIES[endpoint]]}}
        operation["requestBody"] = {"required": True, "content": content}
    if endpoint in FORMS:
        operation["requestBody"] = {"required": True, "content": {"multipart/form-data": {"schema": FORMS[endpoint]}}}
    return operation


def encode() -> str:
    """Write the description as it stands in the file."""
    return json.dumps(build(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    FILE.write_text(encode())
