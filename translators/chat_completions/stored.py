"""What is kept of a request with `store: true` together with its answer, and how it is shown again.

The form is that of `GET /v1/chat/completions/{id}`: the completion, the parameters that it was made with, and
`metadata`; `.../messages` lists the request's own messages.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from translators.chat_completions.request_types import ChatCompletionRequest

__all__ = ["KeptRequest", "add_kept", "keep_request", "list_messages"]


@dataclass(frozen=True, slots=True)
class KeptRequest:
    """What is kept of a request."""

    parameters: dict[str, Any]
    """The fields that a stored completion has besides those of a completion."""
    messages: list[dict[str, Any]]


def keep_request(request: ChatCompletionRequest) -> KeptRequest | None:
    """Return what is to be kept of a request; None if it does not ask for it."""
    if not request.store:
        return None
    parameters = {
        "tool_choice": request.tool_choice,
        "seed": request.seed,
        "top_p": 1.0 if request.top_p is None else request.top_p,
        "temperature": 1.0 if request.temperature is None else request.temperature,
        "presence_penalty": request.presence_penalty or 0.0,
        "frequency_penalty": request.frequency_penalty or 0.0,
        "input_user": request.user,
        "tools": request.tools,
        "metadata": request.metadata or {},
        "response_format": request.response_format,
    }
    return KeptRequest(msgspec.to_builtins(parameters), msgspec.to_builtins(request.messages))


def add_kept(completion: bytes, kept: KeptRequest, request_id: str) -> dict[str, Any]:
    """Build the stored completion from the JSON of the answer. `request_id` is that of its `x-request-id`."""
    return {**msgspec.json.decode(completion), "request_id": request_id, **kept.parameters}


def list_messages(completion_id: str, kept: KeptRequest) -> list[dict[str, Any]]:
    """Build the list of a stored completion's messages."""
    listed = []
    for index, message in enumerate(kept.messages):
        content = message.get("content")
        parts = content if isinstance(content, list) else None
        listed.append(
            {
                **message,
                "id": f"{completion_id}-{index}",
                "content": None if parts is not None else content,
                "name": message.get("name"),
                "content_parts": parts,
            }
        )
    return listed
