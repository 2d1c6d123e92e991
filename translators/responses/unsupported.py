"""Parameters of a request that have no effect: refused with OpenAI's own error, or ignored with a warning.

Refused is what changes the answer's meaning or shape; ignored are tuning knobs, and what only OpenAI's service knows.
"""

from translators.errors import OpenAIError
from translators.request_errors import unsupported_parameter
from translators.responses.request_types import ResponsesParameters
from translators.translation_warning import TranslationWarning

__all__ = ["refuse_unsupported", "warn_of_ignored"]

_LOGPROBS = "message.output_text.logprobs"
_INCLUDED = frozenset(
    {
        "reasoning.encrypted_content",
        "web_search_call.action.sources",
        "code_interpreter_call.outputs",
        _LOGPROBS,
    }
)
"""Values of `include` that are served, or refused."""


def refuse_unsupported(parameters: ResponsesParameters) -> None:
    """Refuse what Claude cannot do and must not be left out.

    Raises:
        OpenAIError: 400.
    """
    if parameters.prompt is not None:
        raise unsupported_parameter("prompt")
    if _LOGPROBS in (parameters.include or ()):
        raise OpenAIError(
            400,
            f"Unsupported value: '{_LOGPROBS}' is not supported with this model.",
            code="unsupported_value",
            param="include",
        )
    policy = parameters.moderation.policy if parameters.moderation is not None else None
    if policy is not None and any(part is not None and part.mode == "block" for part in (policy.input, policy.output)):
        raise unsupported_parameter("moderation")


def warn_of_ignored(parameters: ResponsesParameters) -> list[TranslationWarning]:
    """Report tuning knobs without an equivalent. A value that changes nothing is not reported."""
    reasoning, text, options = parameters.reasoning, parameters.text, parameters.prompt_cache_options
    values: dict[str, bool] = {
        "access_programs": parameters.access_programs is not None,
        "background_options": parameters.background_options is not None,
        "image": parameters.image is not None,
        "include": any(name not in _INCLUDED for name in parameters.include or ()),
        "moderation": parameters.moderation is not None,
        "prompt_cache_key": parameters.prompt_cache_key is not None,
        "prompt_cache_options.comparison_response_id": options is not None and bool(options.comparison_response_id),
        "prompt_cache_options.prewarm": options is not None and bool(options.prewarm),
        "reasoning.context": reasoning is not None and reasoning.context == "current_turn",
        "reasoning.mode": reasoning is not None and reasoning.mode not in (None, "standard"),
        "stream_options.include_obfuscation": bool(
            parameters.stream_options and parameters.stream_options.include_obfuscation
        ),
        "text.verbosity": text is not None and text.verbosity not in (None, "medium"),
        "top_logprobs": bool(parameters.top_logprobs),
    }
    return [TranslationWarning(name, "ignored") for name, given in values.items() if given]
