"""The body of a Completions request: bytes to typed values, or OpenAI's own error for what is wrong with it.

Only shapes and ranges are judged here; what Claude can do with them is the translation's.
"""

import msgspec

from translators.completions.request_types import CompletionRequest
from translators.errors import OpenAIError
from translators.request_errors import check_range, missing_parameter
from translators.request_json import decode_for_deployment, decode_request

__all__ = ["parse_request"]

_KNOWN = frozenset(CompletionRequest.__struct_fields__) - {"unknown_parameters"}
_request_decoder = msgspec.json.Decoder(CompletionRequest)

_RANGES: dict[str, tuple[float, float | None]] = {
    "best_of": (1, 20),
    "frequency_penalty": (-2, 2),
    "logprobs": (0, 5),
    "max_tokens": (0, None),
    "n": (1, 128),
    "presence_penalty": (-2, 2),
    "temperature": (0, 2),
    "top_p": (0, 1),
}


def parse_request(body: bytes, *, deployment: str | None = None) -> CompletionRequest:
    """Parse and check the body of a request.

    Args:
        body: the JSON text, in UTF-8.
        deployment: the model that the path names (Azure's deployments): it counts, whatever the body says.

    Raises:
        OpenAIError: a status of 400 with OpenAI's words, code and param for what is wrong.
    """
    fields, body = decode_for_deployment(body, ("model", "prompt"), deployment)
    request = decode_request(_request_decoder, body)
    _check_values(request)
    unknown = tuple(name for name in fields if name not in _KNOWN)
    return msgspec.structs.replace(request, unknown_parameters=unknown)


def _check_values(request: CompletionRequest) -> None:
    if not request.model:
        raise missing_parameter("model")
    if request.prompt == []:
        raise OpenAIError(
            400,
            "Invalid 'prompt': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            code="empty_array",
            param="prompt",
        )
    for name, (low, high) in _RANGES.items():
        check_range(name, getattr(request, name), low, high)
    if request.best_of is not None and request.best_of < (request.n or 1):
        raise OpenAIError(
            400,
            f"Invalid 'best_of': expected at least 'n' ({request.n}), but got {request.best_of} instead.",
            code="invalid_value",
            param="best_of",
        )
    if request.stream_options is not None and not request.stream:
        raise OpenAIError(
            400, "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
        )
