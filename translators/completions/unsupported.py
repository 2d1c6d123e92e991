"""Parameters of a Completions request that have no effect: refused with OpenAI's own error, or ignored with a warning.

Refused is what changes the answer's meaning or shape; ignored are tuning knobs.
"""

from translators.completions.request_types import CompletionRequest
from translators.errors import OpenAIError
from translators.request_errors import check_range, unsupported_parameter
from translators.translation_warning import TranslationWarning
from translators.unknown_parameters import warn_of_unknown

__all__ = ["MAX_CHOICES", "read_prompts", "refuse_unsupported", "warn_of_ignored"]

MAX_CHOICES = 8
"""Most choices of one request, over all its prompts: each is a call of its own."""


def read_prompts(request: CompletionRequest) -> list[str]:
    """Read the prompts, of which there is at least one. None at all is an empty one.

    Raises:
        OpenAIError: 400 for arrays of tokens, which only OpenAI's models can read.
    """
    if request.prompt is None or isinstance(request.prompt, str):
        return [request.prompt or ""]
    prompts = [prompt for prompt in request.prompt if isinstance(prompt, str)]
    if len(prompts) < len(request.prompt):
        raise OpenAIError(
            400,
            "Unsupported value: 'prompt' does not support arrays of tokens with this model. Send the text instead.",
            code="unsupported_value",
            param="prompt",
        )
    return prompts


def refuse_unsupported(request: CompletionRequest, prompts: int) -> None:
    """Refuse what Claude cannot do and must not be left out.

    Args:
        request: the request.
        prompts: how many it has.

    Raises:
        OpenAIError: 400.
    """
    if request.logprobs is not None:
        raise unsupported_parameter("logprobs")
    if request.suffix:
        raise unsupported_parameter("suffix")
    if request.max_tokens == 0:
        raise OpenAIError(
            400,
            "Unsupported value: 'max_tokens' does not support 0 with this model.",
            code="unsupported_value",
            param="max_tokens",
        )
    if prompts > MAX_CHOICES:
        raise OpenAIError(
            400,
            f"Invalid 'prompt': array too long. Expected an array with maximum length {MAX_CHOICES}, but got an array "
            f"with length {prompts} instead.",
            code="array_above_max_length",
            param="prompt",
        )
    check_range("n", request.n, 1, MAX_CHOICES // prompts)


def warn_of_ignored(request: CompletionRequest) -> list[TranslationWarning]:
    """Report tuning knobs without an equivalent. A value that changes nothing (a penalty of 0) is not reported."""
    values: dict[str, bool] = {
        "best_of": (request.best_of or 1) > (request.n or 1),
        "frequency_penalty": bool(request.frequency_penalty),
        "logit_bias": bool(request.logit_bias),
        "presence_penalty": bool(request.presence_penalty),
        "seed": request.seed is not None,
        "stream_options.include_obfuscation": bool(
            request.stream_options and request.stream_options.include_obfuscation
        ),
    }
    warnings = [TranslationWarning(name, "ignored") for name, given in values.items() if given]
    return [*warnings, *warn_of_unknown(request.unknown_parameters)]
