"""Parameters of a request that have no effect: refused with OpenAI's own error, or ignored with a warning.

Refused is what changes the answer's meaning or shape; ignored are tuning knobs, and what only OpenAI's service knows.
"""

from translators.chat_completions.request_types import ChatCompletionRequest
from translators.errors import OpenAIError
from translators.request_errors import check_range, unsupported_parameter
from translators.translation_warning import TranslationWarning
from translators.unknown_parameters import warn_of_unknown

__all__ = ["MAX_COPIES", "refuse_unsupported", "warn_of_ignored"]

MAX_COPIES = 8
"""Largest `n`: each choice is a call of its own."""


def refuse_unsupported(request: ChatCompletionRequest) -> None:
    """Refuse what Claude cannot do and must not be left out.

    Raises:
        OpenAIError: 400.
    """
    if request.logprobs:
        raise unsupported_parameter("logprobs")
    if request.audio is not None or "audio" in (request.modalities or ()):
        raise OpenAIError(
            400,
            "Invalid value: 'audio'. Audio output is not supported with this model: supported modalities are: 'text'.",
            code="invalid_value",
            param="audio" if request.audio is not None else "modalities",
        )
    check_range("n", request.n, 1, MAX_COPIES)
    policy = request.moderation.policy if request.moderation is not None else None
    if policy is not None and any(part is not None and part.mode == "block" for part in (policy.input, policy.output)):
        raise unsupported_parameter("moderation")


def warn_of_ignored(request: ChatCompletionRequest) -> list[TranslationWarning]:
    """Report tuning knobs without an equivalent. A value that changes nothing (a penalty of 0) is not reported."""
    values: dict[str, bool] = {
        "functions": bool(request.functions and request.tools),
        "frequency_penalty": bool(request.frequency_penalty),
        "logit_bias": bool(request.logit_bias),
        "metadata": bool(request.metadata) and not request.store,
        "moderation": request.moderation is not None,
        "prediction": request.prediction is not None,
        "presence_penalty": bool(request.presence_penalty),
        "prompt_cache_key": request.prompt_cache_key is not None,
        "seed": request.seed is not None,
        "stream_options.include_obfuscation": bool(
            request.stream_options and request.stream_options.include_obfuscation
        ),
        "top_logprobs": bool(request.top_logprobs),
        "verbosity": request.verbosity not in (None, "medium"),
    }
    warnings = [TranslationWarning(name, "ignored") for name, given in values.items() if given]
    return [*warnings, *warn_of_unknown(request.unknown_parameters)]
