"""A Chat Completions request to the parameters of Claude's Messages API.

Which parameter is mapped, emulated, ignored or refused, and how, is the table in `parameters.py`. What comes out is a
pure function of the request and the context: no ids, no dates, the same order always, so that a longer history begins
with the bytes of a shorter.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

from translators.chat_completions.output_format import OutputFormat, split_stop, translate_response_format
from translators.chat_completions.reply_plan import ReplyPlan
from translators.chat_completions.request_types import ChatCompletionRequest, JsonObjectFormat, JsonSchemaFormat
from translators.chat_completions.tool_declarations import build_web_search, read_choice, read_tools
from translators.chat_completions.turns import translate_messages
from translators.chat_completions.unsupported import refuse_unsupported, warn_of_ignored
from translators.messages import Conversation, SystemTurn, arrange_turns
from translators.model_catalog import ModelCapabilities, ModelCatalog
from translators.prompt_caching import MAX_BREAKPOINTS, build_cache_control, count_breakpoints, trim_breakpoints
from translators.reasoning import MIN_BUDGET_TOKENS, Thinking, choose_thinking
from translators.tool_choice import ToolDecision, choose_tool
from translators.tools import DeclaredTools, declare_stubs, declare_tools
from translators.translation_warning import Action, TranslationWarning

if TYPE_CHECKING:
    from translators.content import Block

__all__ = ["TranslatedRequest", "TranslationContext", "translate_request"]

_SMALL_ANSWER = 1024
"""Under this cap thinking would leave nothing for the answer, so a client that asks for no reasoning gets none."""

_SAMPLING_VERSION = "2023-06-01"
"""The last API version with `temperature` and `top_p` (https://platform.claude.com/docs/en/api/migration-2026-10-21)."""

_THINKING = frozenset({"thinking", "redacted_thinking"})


def _recall_nothing(_: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class TranslationContext:
    """What a translation needs besides the request."""

    catalog: ModelCatalog
    default_max_tokens: int | None = None
    """Cap in tokens for requests that have none; None: the model's own maximum."""
    max_tokens_limit: int | None = None
    """Largest cap that a client may ask; None: the model's own maximum."""
    recall: Callable[[str], Sequence[Mapping[str, Any]] | None] = _recall_nothing
    """Finds the content blocks of the answer that made a tool call, by the call's id, exactly as Claude sent them."""
    show_thinking: Literal["asked", "always", "never"] = "asked"
    """Whom thinking is shown. Claude has to summarise it for that, which costs time: `asked` does it for clients that
    send a `reasoning_effort`, and shows others what comes unasked."""
    prompt_caching: bool = True
    """Ask Claude to cache the conversation's prefix."""


@dataclass(frozen=True, slots=True)
class TranslatedRequest:
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

    def without_thinking(self) -> "TranslatedRequest":
        """Return the same request without the thinking of earlier turns, for one more try after Claude refused it."""
        messages = [
            {**message, "content": [block for block in message["content"] if block["type"] not in _THINKING]}
            if message["role"] == "assistant"
            else message
            for message in self.params["messages"]
        ]
        params = {**self.params, "messages": messages}
        if params.get("thinking", {}).get("type") == "enabled":
            # With a budget, the turn that called the tools has to begin with its thinking.
            del params["thinking"]
        warning = TranslationWarning("messages", "degraded", "thinking of earlier turns was left out")
        return replace(self, params=params, warnings=(*self.warnings, warning), replays_thinking=False)


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

    def translate(self) -> TranslatedRequest:
        request = self.request
        max_tokens = self._choose_max_tokens()
        output = translate_response_format(request, self.capabilities)
        self.warnings.extend(output.warnings)
        declared = declare_tools(read_tools(request), self.capabilities, spent=output.grammar)
        self.warnings.extend(declared.warnings)
        decision = self._choose_tool(declared, max_tokens, output)
        self.warnings.extend(decision.warnings)
        conversation, thinking = self._converse(declared, decision, output, max_tokens)
        tools, allowed = self._build_tools(declared, decision, conversation)
        stop_sequences, watched = self._split_stop()
        sampling = self._choose_sampling(thinking)

        params: dict[str, Any] = {"model": self.model, "max_tokens": max_tokens, "stream": True}
        params.update(self._place_breakpoints(conversation, output.instruction))
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
        params.update(self._translate_identity_and_tier())
        params.update(sampling)
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
        return TranslatedRequest(
            params=params,
            headers={"anthropic-version": _SAMPLING_VERSION} if sampling else {},
            copies=request.n or 1,
            reply=reply,
            warnings=tuple(dict.fromkeys(self.warnings)),
            replays_thinking=conversation.replays_thinking,
        )

    def _warn(self, param: str, action: Action, detail: str) -> None:
        self.warnings.append(TranslationWarning(param, action, detail))

    def _choose_max_tokens(self) -> int:
        """Choose the smaller of both caps, within the operator's limit and the model's maximum."""
        most = self.capabilities.max_output_tokens
        limit = min(most, self.context.max_tokens_limit or most)
        caps = {"max_completion_tokens": self.request.max_completion_tokens, "max_tokens": self.request.max_tokens}
        asked = {name: cap for name, cap in caps.items() if cap is not None}
        if not asked:
            return min(limit, self.context.default_max_tokens or limit)
        name = min(asked, key=asked.__getitem__)
        for other, cap in asked.items():
            if cap != asked[name]:
                self._warn(other, "ignored", f"{name} is smaller")
        if asked[name] > limit:
            self._warn(name, "changed", f"{asked[name]} became {limit}")
        return min(asked[name], limit)

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
        turns, warnings = translate_messages(self.request.messages, declared, self._cache_control())
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
        effort = self.request.reasoning_effort
        forces = (decision.tool_choice or {}).get("type") in {"any", "tool"}
        small = effort is None and max_tokens < _SMALL_ANSWER and self.capabilities.thinks_by_default
        thinking = choose_thinking(
            "none" if small else effort,
            self.capabilities,
            max_tokens,
            show_thinking=self._shows_thinking(),
            may_use_budget=may_use_budget and not forces,
        )
        if not small:
            return thinking
        detail = "so small a cap leaves no room for thinking: as little as possible"
        return replace(thinking, warnings=(TranslationWarning("reasoning_effort", "changed", detail),))

    def _shows_thinking(self) -> bool:
        asked = self.request.reasoning_effort not in {None, "none", "minimal"}
        return self.context.show_thinking == "always" or (self.context.show_thinking == "asked" and asked)

    def _build_tools(
        self, declared: DeclaredTools, decision: ToolDecision, conversation: Conversation
    ) -> tuple[dict[str, Any], frozenset[str] | None]:
        """Build `tools` and `tool_choice`, and say which tools of the client may be called."""
        tools = list(declared.tools)
        tool_choice = decision.tool_choice
        allowed = decision.allowed
        searches = build_web_search(self.request, tools, self.capabilities)
        if self.request.web_search_options is not None and not searches:
            self._warn("web_search_options", "ignored", "a tool of the client has Claude's name for it")
        if not tools and conversation.called:
            tools.extend(declare_stubs(conversation.called))
            # Claude may still search, so a call of a stub can only be left out of the answer.
            tool_choice = None if searches else {"type": "none"}
            allowed = frozenset()
            self._warn("tools", "emulated", "the history calls tools that are not declared")
        tools.extend(searches)
        params: dict[str, Any] = {"tools": tools} if tools else {}
        if tools and tool_choice is not None:
            params["tool_choice"] = tool_choice
        return params, allowed

    def _split_stop(self) -> tuple[list[str], tuple[str, ...]]:
        asked = self.request.stop
        stops = [asked] if isinstance(asked, str) else asked or []
        if "" in stops:
            self._warn("stop", "ignored", "an empty string")
        stop_sequences, watched = split_stop(stops)
        if watched:
            self._warn("stop", "emulated", "the text is watched for it")
        return stop_sequences, watched

    def _translate_identity_and_tier(self) -> dict[str, Any]:
        params: dict[str, Any] = {}
        identity = self.request.safety_identifier or self.request.user
        if identity:
            # Claude asks for an opaque id, and clients send names and addresses.
            params["metadata"] = {"user_id": sha256(identity.encode()).hexdigest()}
        match self.request.service_tier:
            case "default" | "flex" | "scale":
                params["service_tier"] = "standard_only"
            case "priority" | "fast" as tier:
                self._warn("service_tier", "ignored", f"{tier}: the default tier serves")
            case "auto" | None:
                pass
        return params

    def _choose_sampling(self, thinking: Thinking) -> dict[str, float]:
        """Choose `temperature` or `top_p` where the model takes them, which needs the older API version.

        Only the 4.5 and 4.6 models do, one of both, and without thinking. 1 is Claude's own value.
        """
        asked = {"temperature": self.request.temperature, "top_p": self.request.top_p}
        given = {name: value for name, value in asked.items() if value is not None and value != 1}
        if not given:
            return {}
        if not self.capabilities.sampling or thinking.on:
            reason = "not with thinking" if self.capabilities.sampling else "this model samples in its own way"
            for name in given:
                self._warn(name, "ignored", reason)
            return {}
        name, value = next(iter(given.items()))
        if len(given) > 1:
            self._warn("top_p", "ignored", "Claude takes temperature or top_p")
        if value > 1:
            self._warn(name, "changed", f"{value:g} became 1")
            return {}
        return {name: value}

    def _cache_control(self) -> dict[str, Any]:
        options = self.request.prompt_cache_options
        named: list[str | None] = [self.request.prompt_cache_retention, options.ttl if options is not None else None]
        for message in self.request.messages:
            if isinstance(message.content, list):
                marks = (getattr(part, "prompt_cache_breakpoint", None) for part in message.content)
                named.extend(mark.ttl for mark in marks if mark is not None)
        return build_cache_control(named)

    def _place_breakpoints(self, conversation: Conversation, instruction: str | None) -> dict[str, Any]:
        """Build `system`, `messages` and the automatic mark, with no more marks than Claude takes."""
        options = self.request.prompt_cache_options
        automatic = self.context.prompt_caching and not (options is not None and options.mode == "explicit")
        limit = MAX_BREAKPOINTS - 1 if automatic else MAX_BREAKPOINTS
        system: list[Block] = list(conversation.system)
        if instruction is not None:
            system.append({"type": "text", "text": instruction})
        messages = list(conversation.messages)
        if count_breakpoints(system, messages) > limit:
            system, messages = trim_breakpoints(system, messages, limit)
            self._warn("prompt_cache_breakpoint", "changed", f"only the last {limit} are kept")
        params: dict[str, Any] = {"system": system} if system else {}
        params["messages"] = messages
        if automatic:
            params["cache_control"] = self._cache_control()
        return params
