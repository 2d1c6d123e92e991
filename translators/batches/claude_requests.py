"""The lines of a batch in Claude's Message Batches: requests out, results back.

A line may need several requests (`n`, several prompts). Each is named by its batch, its line and its place in it, in
the alphabet of Claude's `custom_id`, `^[a-zA-Z0-9_-]{1,64}$`, so that no other batch has results of that name; the
client's own `custom_id` may be anything.
https://platform.claude.com/docs/en/build-with-claude/batch-processing has the limits.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from translators.batches.output_lines import Unexecuted
from translators.claude_events import MalformedEventError
from translators.errors import OpenAIError, translate_claude_error

__all__ = [
    "MAX_BYTES",
    "MAX_REQUESTS",
    "ClaudeResult",
    "encode_request",
    "is_of_batch",
    "join_requests",
    "judge_results",
    "name_request",
    "parse_result",
]

MAX_REQUESTS = 100_000
MAX_BYTES = 256_000_000
"""Of one batch of Claude, all of its requests together."""

_HEAD, _TAIL = b'{"requests":[', b"]}"


class ClaudeResult(msgspec.Struct, frozen=True):
    """What became of one request (`anthropic.types.messages.MessageBatchResult`)."""

    type: str
    message: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET


class _ResultLine(msgspec.Struct, frozen=True):
    custom_id: str
    result: ClaudeResult


_decoder = msgspec.json.Decoder(_ResultLine)


def name_request(batch_id: str, number: int, index: int) -> str:
    """Name a request: that of choice `index` of line `number` of a batch."""
    return f"{batch_id}-{number}-{index}"


def is_of_batch(name: str, batch_id: str) -> bool:
    """Whether a request is one of this batch."""
    return name.startswith(f"{batch_id}-")


def encode_request(name: str, params: Mapping[str, Any]) -> bytes:
    """Encode one request. Batches take no `stream`."""
    return msgspec.json.encode(
        {"custom_id": name, "params": {key: value for key, value in params.items() if key != "stream"}}
    )


def join_requests(requests: Iterable[bytes]) -> bytes:
    """Encode the body of `POST /v1/messages/batches`."""
    return _HEAD + b",".join(requests) + _TAIL


def parse_result(line: bytes) -> tuple[str, ClaudeResult]:
    """Parse one line of Claude's results: the name of a request, and what became of it.

    Raises:
        MalformedEventError: it is none.
    """
    try:
        parsed = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedEventError(f"a result of an unknown shape: {error}") from error
    return parsed.custom_id, parsed.result


def judge_results(
    results: Sequence[ClaudeResult | None], word_error: Callable[[OpenAIError], OpenAIError]
) -> list[Raw] | Unexecuted:
    """Say what a line comes to: the messages that answer it, in their order, or why there are none.

    Args:
        results: of its requests; None for one that Claude has no result of.
        word_error: words Claude's refusal as the line's endpoint does.

    Raises:
        OpenAIError: Claude refused one of them, or lost it.
    """
    messages: list[Raw] = []
    unexecuted: Unexecuted | None = None
    for result in results:
        match result:
            case ClaudeResult(type="succeeded", message=Raw() as message):
                messages.append(message)
            case ClaudeResult(type="errored", error=Raw() as error):
                raise word_error(translate_claude_error(200, bytes(error), {}))
            case ClaudeResult(type="expired"):
                unexecuted = unexecuted or "batch_expired"
            case ClaudeResult(type="canceled"):
                unexecuted = unexecuted or "batch_cancelled"
            case _:
                raise OpenAIError(502, "Claude has no result of this request.", "server_error", "server_error")
    return unexecuted or messages
