"""A Chat Completions request to the parameters of Claude's Messages API.

Which parameter is mapped, emulated, ignored or refused, and how, is the table in `parameters.py`. What comes out is a
pure function of the request and the context: no ids, no dates, the same order always, so that a longer history begins
with the bytes of a shorter.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from translators.backends import fit_request
from translators.chat_completions.output_format import translate_response_format
from translators.chat_completions.reply_plan import ReplyPlan
from translators.chat_completions.request_types import (
    AssistantMessage,
    ChatCompletionRequest,
    JsonObjectFormat,
    JsonSchemaFormat,
)
from translators.chat_completions.stored import KeptRequest, keep_request
from translators.chat_completions.tool_declarations import read_choice, read_tools, read_web_search
from translators.chat_completions.turns import translate_messages
from translators.chat_completions.unsupported import refuse_unsupported, warn_of_ignored
from translators.downloads import word_download_error
from translators.errors import OpenAIError
from translators.messages import Conversation, arrange_turns
from translators.model_catalog import ModelCapabilities, ModelCatalog
from translators.output_cap import choose_max_tokens
from translators.output_format import OutputFormat
from translators.preserved_thinking import strip_thinking
from translators.prompt_caching import build_cache_control, place_breakpoints
from translators.reasoning import MIN_BUDGET_TOKENS, Thinking, choose_thinking
from translators.sampling import choose_sampling
from translators.service import translate_identity, translate_service_tier
from translators.stop_strings import split_stop
from translators.tool_choice import ToolDecision, build_tools, choose_tool
from translators.tools import DeclaredTools, declare_tools, without_strict_tools
from translators.translation_warning import Action, TranslationWarning
from translators.turn_types import Recall, SystemTurn
from translators.waiting_calls import settle_server_calls

if TYPE_CHECKING:
    from translators.content import Block

__all__ = [
    "TranslatedRequest",
    "TranslationContext",
    "called_tools",
    "recall_nothing",
    "translate_request",
]


def recall_nothing(_: str) -> None:
    """Remember no answer."""


class TranslationContext(msgspec.Struct, frozen=True):
    """What a translation needs besides the request."""

    catalog: ModelCatalog
    default_max_tokens: int | None = None
    """Cap in tokens for requests that have none; None: the model's own maximum."""
    max_tokens_limit: int | None = None
    """Largest cap that a client may ask; None: the model's own maximum."""
    recall: Recall = recall_nothing
    show_thinking: Literal["asked", "always", "never"] = "asked"
    """Whom thinking is shown. Claude has to summarise it for that, which costs time: `asked` does it for clients that
    send a `reasoning_effort`, and shows others what comes unasked."""
    prompt_caching: bool = True
    """Ask Claude to cache the conversation's prefix."""


class TranslatedRequest(msgspec.Struct, frozen=True):
    """The call, or calls, to make to Claude."""

    params: dict[str, Any]
    """Body of POST /v1/messages, ready to be encoded as JSON; always a stream."""
    headers: dict[str, str]
    """Headers besides the client's own."""
    copies: int
    """How many calls of `params` make the answer's choices."""
    reply: ReplyPlan
    warnings: tuple[TranslationWarning, ...] = ()
    replays_thinking: bool = False
    """Whether `params` holds thinking of earlier turns, which Claude may refuse."""
    kept: KeptRequest | None = None
    """What is kept of the request together with its answer, if that is asked."""

    def without_thinking(self) -> "TranslatedRequest":
        """Return the same request without the thinking of earlier turns, for one more try after Claude refused it."""
        warning = TranslationWarning("messages", "degraded", "thinking of earlier turns was left out")
        return msgspec.structs.replace(
            self,
            params=strip_thinking(self.params),
            warnings=(*self.warnings, warning),
            replays_thinking=False,
        )

    def without_strict_tools(self) -> "TranslatedRequest":
        """Return the same request with tools that need not be called by their schemas, after Claude refused those."""
        warning = TranslationWarning("tools.strict", "degraded", "Claude finds the schemas too complex to hold to them")
        return msgspec.structs.replace(
            self, params=without_strict_tools(self.params), warnings=(*self.warnings, warning)
        )

    def word_error(self, error: OpenAIError) -> OpenAIError:
        """Word Claude's refusal as this endpoint does."""
        return word_download_error(error, self.params, code="invalid_image_url")


def called_tools(request: ChatCompletionRequest) -> list[str]:
    """Name the tool calls that `TranslationContext.recall` will be asked for: the first of each answer."""
    answers = (message for message in request.messages if isinstance(message, AssistantMessage))
    return [answer.tool_calls[0].id for answer in answers if answer.tool_calls]


def translate_request(request: ChatCompletionRequest, context: TranslationContext) -> TranslatedRequest:
    """Translate a request.

    Raises:
        OpenAIError: 400 for what Claude cannot do and must not be left out (audio, log probabilities, blocking
            moderation, ...).
    """
    refuse_unsupported(request)
    model = context.catalog.resolve(request.model)
    translation = _Translation(request, context, model.id, model.capabilities)
    translation.warnings.extend(model.warnings)
    translation.warnings.extend(warn_of_ignored(request))
    return translation.translate()


@dataclass(slots=True)
class _Translation:
    """One translation under way: what it reads, and the warnings that it gathers."""

    request: ChatCompletionRequest
    context: TranslationContext
    model: str
    capabilities: ModelCapabilities
    warnings: list[TranslationWarning] = field(default_factory=list)
    cache_control: dict[str, Any] = field(init=False)
    """What every mark on the conversation is."""

    def __post_init__(self) -> None:
        self.cache_control = self._build_cache_control()

    def translate(self) -> TranslatedRequest:
        request = self.request
        max_tokens, cap_warnings = choose_max_tokens(
            {"max_completion_tokens": request.max_completion_tokens, "max_tokens": request.max_tokens},
            self.capabilities,
            default=self.context.default_max_tokens,
            limit=self.context.max_tokens_limit,
        )
        self.warnings.extend(cap_warnings)
        output = translate_response_format(request, self.capabilities)
        self.warnings.extend(output.warnings)
        declared = declare_tools(read_tools(request), self.capabilities, spent=output.grammar)
        self.warnings.extend(declared.warnings)
        decision = self._choose_tool(declared, max_tokens, output)
        self.warnings.extend(decision.warnings)
        conversation, thinking = self._converse(declared, decision, output, max_tokens)
        tools, allowed = self._build_tools(declared, decision, conversation)
        settled = settle_server_calls(conversation.messages, tools.get("tools", ()))
        self.warnings.extend(settled.warnings)
        stop_sequences, watched, stop_warnings = split_stop(request.stop)
        self.warnings.extend(stop_warnings)
        sampling = choose_sampling(request.temperature, request.top_p, self.capabilities, thinks=thinking.on)
        self.warnings.extend(sampling.warnings)

        params: dict[str, Any] = {"model": self.model, "max_tokens": max_tokens, "stream": True}
        params.update(self._place_breakpoints(conversation.system, settled.messages, output.instruction))
        params.update(tools)
        if thinking.thinking is not None:
            params["thinking"] = thinking.thinking
        output_config: dict[str, Any] = {} if thinking.effort is None else {"effort": thinking.effort}
        schema = decision.output_schema or output.schema
        if schema is not None:
            output_config["format"] = {"type": "json_schema", "schema": schema}
        if output_config:
            params["output_config"] = output_config
        if stop_sequences:
            params["stop_sequences"] = stop_sequences
        params.update(translate_identity(request.safety_identifier, request.user))
        tier, tier_warnings = translate_service_tier(request.service_tier)
        params.update(tier)
        self.warnings.extend(tier_warnings)
        params.update(sampling.params)
        reply = ReplyPlan(
            model=request.model,
            stream=bool(request.stream),
            include_usage=bool(request.stream_options and request.stream_options.include_usage),
            tool_names=declared.renamed,
            custom_tools=declared.custom,
            wrapped_tools=declared.wrapped,
            legacy_function_call=bool(request.functions) and not request.tools,
            forced_tool=decision.forced_tool,
            allowed_tools=allowed,
            # The next request does not end with this instruction any more.
            remembers_thinking=decision.instruction is None,
            stop=watched,
            json_object=output.instruction is not None,
            structured=isinstance(request.response_format, (JsonObjectFormat, JsonSchemaFormat)),
            shows_thinking=self.context.show_thinking != "never",
        )
        params, headers = fit_request(
            params, sampling.headers, self.model, before_4_7=self.capabilities.sampling, param="messages"
        )
        return TranslatedRequest(
            params=params,
            headers=headers,
            copies=request.n or 1,
            reply=reply,
            warnings=tuple(dict.fromkeys(self.warnings)),
            replays_thinking=conversation.replays_thinking,
            kept=keep_request(request),
        )

    def _warn(self, param: str, action: Action, detail: str) -> None:
        self.warnings.append(TranslationWarning(param, action, detail))

    def _choose_tool(self, declared: DeclaredTools, max_tokens: int, output: OutputFormat) -> ToolDecision:
        request = self.request
        choice = read_choice(request)
        if not declared.tools:
            if choice is not None and choice.mode == "required":
                self._warn("tool_choice", "ignored", "no tools are given")
            return ToolDecision()
        wants_thinking = request.reasoning_effort not in (None, "none")
        wants_budget = wants_thinking and self.capabilities.budget_only and max_tokens > MIN_BUDGET_TOKENS
        # A legacy answer has room for one call.
        parallel = request.parallel_tool_calls is not False and (bool(request.tools) or not request.functions)
        return choose_tool(
            choice,
            declared,
            parallel=parallel,
            may_force=self.capabilities.forced_tool_choice and not wants_budget,
            may_format=self.capabilities.structured_outputs and output.schema is None and output.instruction is None,
        )

    def _converse(
        self, declared: DeclaredTools, decision: ToolDecision, output: OutputFormat, max_tokens: int
    ) -> tuple[Conversation, Thinking]:
        """Arrange the messages, and choose how the model thinks: each depends on the other."""
        turns, warnings = translate_messages(self.request.messages, declared, self.cache_control)
        self.warnings.extend(warnings)
        if decision.instruction is not None:
            turns.append(SystemTurn(({"type": "text", "text": decision.instruction},)))
        formatted = output.schema is not None or decision.output_schema is not None
        may_prefill = not formatted and not self._choose_thinking(max_tokens, decision).on
        conversation = arrange_turns(turns, self.capabilities, self.context.recall, may_prefill=may_prefill)
        self.warnings.extend(conversation.warnings)
        lost = conversation.in_tool_loop_without_thinking
        thinking = self._choose_thinking(max_tokens, decision, may_use_budget=not lost)
        self.warnings.extend(thinking.warnings)
        return conversation, thinking

    def _choose_thinking(self, max_tokens: int, decision: ToolDecision, *, may_use_budget: bool = True) -> Thinking:
        forces = (decision.tool_choice or {}).get("type") in {"any", "tool"}
        return choose_thinking(
            self.request.reasoning_effort,
            self.capabilities,
            max_tokens,
            show_thinking=self._shows_thinking(),
            may_use_budget=may_use_budget and not forces,
        )

    def _shows_thinking(self) -> bool:
        asked = self.request.reasoning_effort not in {None, "none", "minimal"}
        return self.context.show_thinking == "always" or (self.context.show_thinking == "asked" and asked)

    def _build_tools(
        self, declared: DeclaredTools, decision: ToolDecision, conversation: Conversation
    ) -> tuple[dict[str, Any], frozenset[str] | None]:
        """Build `tools` and `tool_choice`, and say which tools of the client may be called."""
        searches = read_web_search(self.request, declared.tools, self.capabilities)
        if self.request.web_search_options is not None and not searches:
            self._warn("web_search_options", "ignored", "a tool of the client has Claude's name for it")
        if searches:
            declared = msgspec.structs.replace(declared, server=tuple(searches))
        params, allowed, warnings = build_tools(declared, decision, conversation.called)
        self.warnings.extend(warnings)
        return params, allowed

    def _build_cache_control(self) -> dict[str, Any]:
        options = self.request.prompt_cache_options
        named: list[str | None] = [self.request.prompt_cache_retention, options.ttl if options is not None else None]
        for message in self.request.messages:
            if isinstance(message.content, list):
                marks = (getattr(part, "prompt_cache_breakpoint", None) for part in message.content)
                named.extend(mark.ttl for mark in marks if mark is not None)
        return build_cache_control(named)

    def _place_breakpoints(
        self, instructions: Sequence["Block"], messages: Sequence[dict[str, Any]], instruction: str | None
    ) -> dict[str, Any]:
        """Build `system`, `messages` and the automatic mark, with no more marks than Claude takes."""
        options = self.request.prompt_cache_options
        automatic = self.context.prompt_caching and not (options is not None and options.mode == "explicit")
        system = list(instructions)
        if instruction is not None:
            system.append({"type": "text", "text": instruction})
        params, warnings = place_breakpoints(system, messages, self.cache_control if automatic else None)
        self.warnings.extend(warnings)
        return params
