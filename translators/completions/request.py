"""A Completions request to the parameters of Claude's Messages API: one call for each prompt.

Claude is a chat model: what it is to do with the text stands in one system block, always the same, so that every
request begins with the same bytes. Thinking counts inside `max_tokens`, which is small here, and the models that this
endpoint was made for do not think: it is switched off, or held as low as the model lets it.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

from translators.backends import fit_request
from translators.completions.request_types import CompletionRequest
from translators.completions.unsupported import read_prompts, refuse_unsupported, warn_of_ignored
from translators.errors import OpenAIError
from translators.model_catalog import ModelCatalog
from translators.output_cap import choose_max_tokens
from translators.prompt_caching import build_cache_control, place_breakpoints
from translators.reasoning import Thinking, choose_thinking
from translators.sampling import choose_sampling
from translators.service import translate_identity
from translators.stop_strings import split_stop
from translators.translation_warning import TranslationWarning

__all__ = ["CompletionContext", "CompletionPlan", "TranslatedCompletion", "TranslatedPrompt", "translate_request"]

_DEFAULT_MAX_TOKENS = 16
"""OpenAI's own (https://platform.openai.com/docs/api-reference/completions/create)."""

_INSTRUCTION = (
    "You complete texts. Reply only with what comes right after the user's text: its continuation where it breaks off, "
    "the answer where it asks for one. Do not repeat the text, and add no remark and no code fence."
)
_BLANK = "The text is empty: begin one."
"""Stands for a prompt that Claude would refuse, because there is nothing in it."""


@dataclass(frozen=True, slots=True)
class CompletionContext:
    """What a translation needs besides the request."""

    catalog: ModelCatalog
    max_tokens_limit: int | None = None
    """Largest cap that a client may ask; None: the model's own maximum."""
    prompt_caching: bool = True
    """Ask Claude to cache the prompt."""


@dataclass(frozen=True, slots=True)
class CompletionPlan:
    """All that translating Claude's events needs to know of the request."""

    model: str
    """The model name that the client asked for: echoed in every chunk."""
    stream: bool = False
    include_usage: bool = False
    """`stream_options.include_usage`: one more chunk with the usage, and `usage: null` on the others."""
    stop: tuple[str, ...] = ()
    """Stop strings that Claude does not take (white space only, or too many): the text is cut here."""


@dataclass(frozen=True, slots=True)
class TranslatedPrompt:
    """One prompt's call to Claude."""

    params: dict[str, Any]
    """Body of POST /v1/messages, ready to be encoded as JSON; always a stream."""
    headers: dict[str, str]
    """Headers besides the client's own."""
    warnings: tuple[TranslationWarning, ...]
    """Those of the whole request."""
    echo: str = ""
    """What comes before Claude's text in the answer: the prompt, if it is to be echoed."""
    replays_thinking: bool = False
    """Never: there are no earlier turns."""

    def without_thinking(self) -> Self:
        """Return the same request, which holds no thinking."""
        return self

    def without_strict_tools(self) -> Self:
        """Return the same request, which has no tools."""
        return self

    def word_error(self, error: OpenAIError) -> OpenAIError:
        """Word Claude's refusal as this endpoint does."""
        return replace(error, param="prompt") if error.code == "context_length_exceeded" else error


@dataclass(frozen=True, slots=True)
class TranslatedCompletion:
    """The calls to make to Claude."""

    prompts: tuple[TranslatedPrompt, ...]
    """Choices are counted through the prompts in this order, `copies` for each."""
    copies: int
    """How many calls of each prompt make its choices."""
    plan: CompletionPlan
    warnings: tuple[TranslationWarning, ...] = ()


def translate_request(request: CompletionRequest, context: CompletionContext) -> TranslatedCompletion:
    """Translate a request.

    Raises:
        OpenAIError: 400 for what Claude cannot do and must not be left out (tokens, log probabilities, suffix, ...).
    """
    prompts = read_prompts(request)
    refuse_unsupported(request, len(prompts))
    model = context.catalog.resolve(request.model)
    max_tokens, cap_warnings = choose_max_tokens(
        {"max_tokens": request.max_tokens},
        model.capabilities,
        default=_DEFAULT_MAX_TOKENS,
        limit=context.max_tokens_limit,
    )
    thinking = choose_thinking("none", model.capabilities, max_tokens)
    sampling = choose_sampling(request.temperature, request.top_p, model.capabilities, thinks=thinking.on)
    stop_sequences, watched, stop_warnings = split_stop(request.stop)
    warnings = [
        *model.warnings,
        *warn_of_ignored(request),
        *cap_warnings,
        *_warn_of_thinking(thinking),
        *sampling.warnings,
        *stop_warnings,
    ]
    if not all(prompt.strip() for prompt in prompts):
        warnings.append(TranslationWarning("prompt", "emulated", "an empty text is asked for in words"))
    said = tuple(dict.fromkeys(warnings))

    settings: dict[str, Any] = {}
    if thinking.thinking is not None:
        settings["thinking"] = thinking.thinking
    if thinking.effort is not None:
        settings["output_config"] = {"effort": thinking.effort}
    if stop_sequences:
        settings["stop_sequences"] = stop_sequences
    settings.update(translate_identity(None, request.user))
    settings.update(sampling.params)
    head = {"model": model.id, "max_tokens": max_tokens, "stream": True}

    def translate(prompt: str) -> TranslatedPrompt:
        params, headers = fit_request(
            {**head, **_ask(prompt, context), **settings},
            sampling.headers,
            model.id,
            before_4_7=model.capabilities.sampling,
            param="prompt",
        )
        return TranslatedPrompt(
            params=params,
            headers=headers,
            warnings=said,
            echo=prompt if request.echo else "",
        )

    plan = CompletionPlan(
        model=request.model,
        stream=bool(request.stream),
        include_usage=bool(request.stream_options and request.stream_options.include_usage),
        stop=watched,
    )
    return TranslatedCompletion(tuple(map(translate, prompts)), request.n or 1, plan, said)


def _ask(prompt: str, context: CompletionContext) -> dict[str, Any]:
    text = prompt if prompt.strip() else _BLANK
    mark = build_cache_control(()) if context.prompt_caching else None
    messages = [{"role": "user", "content": [{"type": "text", "text": text}]}]
    params, _ = place_breakpoints([{"type": "text", "text": _INSTRUCTION}], messages, mark)
    return params


def _warn_of_thinking(thinking: Thinking) -> list[TranslationWarning]:
    # The client has no say in it here: what concerns it is its cap.
    return [
        replace(warning, param="max_tokens", detail=f"{warning.detail}, and thinking counts")
        for warning in thinking.warnings
    ]
