"""The body of a legacy Completions request as typed values.

The names are those of `openai.types.completion_create_params`. Null means absent for optional parameters, as at OpenAI.
"""

from msgspec import Struct

__all__ = ["CompletionRequest", "StreamOptions"]


class StreamOptions(Struct, frozen=True):
    """What a stream holds besides the text."""

    include_obfuscation: bool | None = None
    include_usage: bool | None = None


class CompletionRequest(Struct, frozen=True, kw_only=True):
    """A whole request. `unknown_parameters` holds the names of parameters that OpenAI does not have."""

    model: str
    prompt: str | list[str | int | list[int]] | None
    best_of: int | None = None
    echo: bool | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: int | None = None
    max_tokens: int | None = None
    n: int | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    suffix: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    user: str | None = None
    unknown_parameters: tuple[str, ...] = ()
