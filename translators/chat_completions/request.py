"""A Chat Completions request to the parameters of Claude's Messages API.

Which parameter is mapped, emulated, ignored or refused, and how, is the table in `parameters.py`. What comes out is a
pure function of the request and the context: no ids, no dates, the same order always, so that a longer history begins
with the bytes of a shorter.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import msgspec

from translators.chat_completions.reply_plan import ReplyPlan
from translators.chat_completions.request_body import (
    AllowedToolsChoice,
    ChatCompletionRequest,
    CustomChoice,
    CustomFormatGrammar,
    CustomTool,
    Function,
    FunctionChoice,
    JsonObjectFormat,
    JsonSchemaFormat,
)
from translators.chat_completions.turns import translate_messages
from translators.content import Block
from translators.errors import OpenAIError
from translators.json_schema import (
    MAX_OPTIONAL_PROPERTIES,
    MAX_UNIONS,
    GrammarSchema,
    NotExpressibleError,
    to_grammar_schema,
)
from translators.messages import Conversation, SystemTurn, arrange_turns
from translators.model_catalog import ModelCapabilities, ModelCatalog
from translators.prompt_caching import MAX_BREAKPOINTS, build_cache_control, count_breakpoints, trim_breakpoints
from translators.reasoning import MIN_BUDGET_TOKENS, Thinking, choose_thinking
from translators.tools import (
    DeclaredTools,
    ToolChoice,
    ToolDecision,
    ToolDeclaration,
    choose_tool,
    declare_stubs,
    declare_tools,
)
from translators.translation_warning import TranslationWarning

__all__ = ["MAX_COPIES", "TranslatedRequest", "TranslationContext", "translate_request"]

MAX_COPIES = 8
"""Largest `n`: each choice is a call of its own."""

_MAX_STOP_SEQUENCES = 4
"""OpenAI's limit, which Claude surely takes; what is beyond it is found in the text."""

_SMALL_ANSWER = 1024
"""Under this cap thinking would leave nothing for the answer, so a client that asks for no reasoning gets none."""

_SAMPLING_VERSION = "2023-06-01"
"""The last API version with `temperature` and `top_p` (https://platform.claude.com/docs/en/api/migration-2026-10-21)."""

_JSON_OBJECT = "Reply with one JSON object only: no other text, and no code fence around it."
_JSON_SCHEMA = (
    "Reply only with JSON that is valid under this JSON schema: no other text, and no code fence around it.\n"
)

_SEARCHES: Mapping[str, int] = {"low": 1, "medium": 5, "high": 10}
"""Web searches for each `search_context_size`."""

_VENDOR_EXTRAS = frozenset(
    {
        "chat_template_kwargs",
        "enable_thinking",
        "extra_body",
        "guided_json",
        "include_reasoning",
        "min_p",
        "plugins",
        "provider",
        "reasoning",
        "repetition_penalty",
        "thinking",
        "top_a",
        "top_k",
        "transforms",
        "use_beam_search",
    }
)
"""Parameters of other OpenAI-compatible hosts, reported by name. Others are reported as `unknown`, because a warning's
parameter becomes a metric's label and a header's text."""


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
    show_thinking: bool = False
    """Ask Claude for the summary of its thinking, so that it can be shown."""
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


_THINKING = frozenset({"thinking", "redacted_thinking"})


def translate_request(request: ChatCompletionRequest, context: TranslationContext) -> TranslatedRequest:
    """Translate a request.

    Raises:
        OpenAIError: 400 for what Claude cannot do and must not be left out (audio, log probabilities, blocking
        moderation, ...).
    """
    _refuse_unsupported(request)
    model = context.catalog.resolve(request.model)
    capabilities = model.capabilities
    warnings = [*model.warnings, *_warn_of_ignored(request)]
    max_tokens = _choose_max_tokens(request, context, capabilities, warnings)
    output = _translate_response_format(request, capabilities, warnings)
    declared = declare_tools(_read_tools(request, warnings), capabilities, spent=output.grammar)
    warnings.extend(declared.warnings)
    decision = _choose_tool(request, declared, capabilities, max_tokens, output)
    warnings.extend(decision.warnings)

    cache_control = _build_cache_control(request)
    turns, message_warnings = translate_messages(request.messages, declared, cache_control)
    warnings.extend(message_warnings)
    if decision.instruction is not None:
        turns.append(SystemTurn(({"type": "text", "text": decision.instruction},)))
    has_format = output.schema is not None or decision.output_schema is not None
    thinks = _choose_thinking(request, context, capabilities, max_tokens, decision, may_use_budget=True).on
    conversation = arrange_turns(turns, capabilities, context.recall, may_prefill=not thinks and not has_format)
    warnings.extend(conversation.warnings)
    thinking = _choose_thinking(
        request,
        context,
        capabilities,
        max_tokens,
        decision,
        may_use_budget=not conversation.in_tool_loop_without_thinking,
    )
    warnings.extend(thinking.warnings)

    params: dict[str, Any] = {"model": model.id, "max_tokens": max_tokens, "stream": True}
    params.update(_place_breakpoints(conversation, output.instruction, cache_control, request, context, warnings))
    params.update(_build_tools(request, declared, decision, conversation, capabilities, warnings))
    if thinking.thinking is not None:
        params["thinking"] = thinking.thinking
    schema = decision.output_schema or output.schema
    output_config: dict[str, Any] = {} if thinking.effort is None else {"effort": thinking.effort}
    if schema is not None:
        output_config["format"] = {"type": "json_schema", "schema": schema}
    if output_config:
        params["output_config"] = output_config
    stop_sequences, watched = _split_stop(request, warnings)
    if stop_sequences:
        params["stop_sequences"] = stop_sequences
    params.update(_translate_identity_and_tier(request, warnings))
    headers = _translate_sampling(request, capabilities, thinking, params, warnings)
    reply = ReplyPlan(
        model=request.model,
        stream=bool(request.stream),
        include_usage=bool(request.stream_options and request.stream_options.include_usage),
        tool_names=declared.renamed,
        custom_tools=declared.custom,
        wrapped_tools=declared.wrapped,
        legacy_function_call=bool(request.functions) and not request.tools,
        forced_tool=decision.forced_tool,
        allowed_tools=decision.allowed,
        remembers_thinking=decision.instruction is None,
        stop=watched,
        json_object=output.instruction is not None,
        structured=isinstance(request.response_format, (JsonObjectFormat, JsonSchemaFormat)),
    )
    return TranslatedRequest(
        params, headers, request.n or 1, reply, tuple(dict.fromkeys(warnings)), conversation.replays_thinking
    )


# Refused and ignored parameters


def _refuse_unsupported(request: ChatCompletionRequest) -> None:
    if request.logprobs:
        raise _unsupported("logprobs")
    if request.audio is not None or "audio" in (request.modalities or ()):
        raise OpenAIError(
            400,
            "Invalid value: 'audio'. Audio output is not supported with this model: supported modalities are: 'text'.",
            code="invalid_value",
            param="audio" if request.audio is not None else "modalities",
        )
    if request.n is not None and request.n > MAX_COPIES:
        raise OpenAIError(
            400,
            f"Invalid 'n': integer above maximum value. Expected a value <= {MAX_COPIES}, but got {request.n} instead.",
            code="integer_above_max_value",
            param="n",
        )
    policy = request.moderation.policy if request.moderation is not None else None
    if policy is not None and any(part is not None and part.mode == "block" for part in (policy.input, policy.output)):
        raise _unsupported("moderation")


def _unsupported(param: str) -> OpenAIError:
    return OpenAIError(
        400,
        f"Unsupported parameter: '{param}' is not supported with this model.",
        code="unsupported_parameter",
        param=param,
    )


def _warn_of_ignored(request: ChatCompletionRequest) -> list[TranslationWarning]:
    """Report tuning knobs without an equivalent. A value that changes nothing (a penalty of 0) is not reported."""
    values: dict[str, bool] = {
        "frequency_penalty": bool(request.frequency_penalty),
        "logit_bias": bool(request.logit_bias),
        "metadata": bool(request.metadata),
        "moderation": request.moderation is not None,
        "prediction": request.prediction is not None,
        "presence_penalty": bool(request.presence_penalty),
        "prompt_cache_key": request.prompt_cache_key is not None,
        "seed": request.seed is not None,
        "store": bool(request.store),
        "stream_options.include_obfuscation": bool(
            request.stream_options and request.stream_options.include_obfuscation
        ),
        "top_logprobs": bool(request.top_logprobs),
        "verbosity": request.verbosity not in (None, "medium"),
    }
    warnings = [TranslationWarning(name, "ignored") for name, given in values.items() if given]
    unknown = ((name if name in _VENDOR_EXTRAS else "unknown", name) for name in request.unknown_parameters)
    return [*warnings, *(TranslationWarning(param, "ignored", f"{name[:64]!r}") for param, name in unknown)]


# Parameters of their own


def _choose_max_tokens(
    request: ChatCompletionRequest,
    context: TranslationContext,
    capabilities: ModelCapabilities,
    warnings: list[TranslationWarning],
) -> int:
    """Choose the smaller of both caps, within the operator's limit and the model's maximum."""
    limit = min(capabilities.max_output_tokens, context.max_tokens_limit or capabilities.max_output_tokens)
    caps = {"max_completion_tokens": request.max_completion_tokens, "max_tokens": request.max_tokens}
    asked = {name: cap for name, cap in caps.items() if cap is not None}
    if not asked:
        return min(limit, context.default_max_tokens or limit)
    name = min(asked, key=asked.__getitem__)
    for other, cap in asked.items():
        if cap != asked[name]:
            warnings.append(TranslationWarning(other, "ignored", f"{name} is smaller"))
    if asked[name] > limit:
        warnings.append(TranslationWarning(name, "changed", f"{asked[name]} became {limit}"))
    return min(asked[name], limit)


def _choose_thinking(
    request: ChatCompletionRequest,
    context: TranslationContext,
    capabilities: ModelCapabilities,
    max_tokens: int,
    decision: ToolDecision,
    *,
    may_use_budget: bool,
) -> Thinking:
    effort = request.reasoning_effort
    forces = (decision.tool_choice or {}).get("type") in {"any", "tool"}
    small = effort is None and max_tokens < _SMALL_ANSWER and capabilities.thinks_by_default
    thinking = choose_thinking(
        "none" if small else effort,
        capabilities,
        max_tokens,
        show_thinking=context.show_thinking,
        may_use_budget=may_use_budget and not forces,
    )
    if not small:
        return thinking
    warning = TranslationWarning(
        "reasoning_effort", "changed", "so small a cap leaves no room for thinking: as little as possible"
    )
    return replace(thinking, warnings=(warning,))


@dataclass(frozen=True, slots=True)
class _Output:
    """How the form of the answer is asked for: by a schema, or by words."""

    schema: dict[str, Any] | None = None
    grammar: GrammarSchema | None = None
    instruction: str | None = None


def _translate_response_format(
    request: ChatCompletionRequest, capabilities: ModelCapabilities, warnings: list[TranslationWarning]
) -> _Output:
    form = request.response_format
    if isinstance(form, JsonSchemaFormat) and form.json_schema.schema is not None:
        reason = "this model has no structured outputs"
        if capabilities.structured_outputs:
            try:
                grammar = to_grammar_schema(form.json_schema.schema)
            except NotExpressibleError as error:
                reason = str(error)
            else:
                if grammar.optional_properties <= MAX_OPTIONAL_PROPERTIES and grammar.unions <= MAX_UNIONS:
                    if grammar.said:
                        warnings.append(
                            TranslationWarning(
                                "response_format", "degraded", f"only described: {', '.join(grammar.said)}"
                            )
                        )
                    return _Output(grammar.schema, grammar)
                reason = "more optional properties or unions than Claude compiles"
        warnings.append(TranslationWarning("response_format", "degraded", f"asked for in words: {reason}"))
        return _Output(instruction=_JSON_SCHEMA + msgspec.json.encode(form.json_schema.schema).decode())
    if isinstance(form, (JsonObjectFormat, JsonSchemaFormat)):
        warnings.append(TranslationWarning("response_format", "emulated", "a JSON object is asked for in words"))
        return _Output(instruction=_JSON_OBJECT)
    return _Output()


def _split_stop(
    request: ChatCompletionRequest, warnings: list[TranslationWarning]
) -> tuple[list[str], tuple[str, ...]]:
    """Split the stop strings: for Claude, and to be watched for in its text (white space only, or beyond the limit)."""
    asked = [request.stop] if isinstance(request.stop, str) else list(dict.fromkeys(request.stop or ()))
    if "" in asked:
        warnings.append(TranslationWarning("stop", "ignored", "an empty string"))
    native = [stop for stop in asked if stop.strip()]
    watched = tuple(stop for stop in asked if stop and not stop.strip()) + tuple(native[_MAX_STOP_SEQUENCES:])
    if watched:
        warnings.append(TranslationWarning("stop", "emulated", "the text is watched for it"))
    return native[:_MAX_STOP_SEQUENCES], watched


def _translate_identity_and_tier(request: ChatCompletionRequest, warnings: list[TranslationWarning]) -> dict[str, Any]:
    params: dict[str, Any] = {}
    identity = request.safety_identifier or request.user
    if identity:
        # Claude asks for an opaque id, and clients send names and addresses.
        params["metadata"] = {"user_id": sha256(identity.encode()).hexdigest()}
    if request.service_tier in ("default", "flex", "scale"):
        params["service_tier"] = "standard_only"
    elif request.service_tier in ("priority", "fast"):
        warnings.append(
            TranslationWarning("service_tier", "ignored", f"{request.service_tier}: the default tier serves")
        )
    return params


def _translate_sampling(
    request: ChatCompletionRequest,
    capabilities: ModelCapabilities,
    thinking: Thinking,
    params: dict[str, Any],
    warnings: list[TranslationWarning],
) -> dict[str, str]:
    """Set `temperature` or `top_p` where the model takes them, and return the headers which that needs.

    Only the 4.5 and 4.6 models take them, one of both, without thinking, under the older API version. 1 is Claude's own
    value.
    """
    asked = {"temperature": request.temperature, "top_p": request.top_p}
    given = {name: value for name, value in asked.items() if value is not None and value != 1}
    if not given:
        return {}
    if not capabilities.sampling or thinking.on:
        reason = "not together with thinking" if capabilities.sampling else "this model samples in its own way"
        warnings.extend(TranslationWarning(name, "ignored", reason) for name in given)
        return {}
    name, value = next(iter(given.items()))
    if len(given) > 1:
        warnings.append(TranslationWarning("top_p", "ignored", "Claude takes temperature or top_p"))
    if value > 1:
        warnings.append(TranslationWarning(name, "changed", f"{value:g} became 1"))
        return {}
    params[name] = value
    return {"anthropic-version": _SAMPLING_VERSION}


# Tools


def _read_tools(request: ChatCompletionRequest, warnings: list[TranslationWarning]) -> list[ToolDeclaration]:
    if not request.tools:
        return [_read_function(function, f"functions[{i}].name") for i, function in enumerate(request.functions or ())]
    if request.functions:
        warnings.append(TranslationWarning("functions", "ignored", "tools are given too"))
    declarations = []
    for index, tool in enumerate(request.tools):
        if isinstance(tool, CustomTool):
            custom = tool.custom
            grammar = custom.format.grammar if isinstance(custom.format, CustomFormatGrammar) else None
            declarations.append(
                ToolDeclaration(
                    custom.name,
                    f"tools[{index}].custom.name",
                    custom.description or "",
                    raw_input=True,
                    grammar=(grammar.syntax, grammar.definition) if grammar is not None else None,
                )
            )
        else:
            declarations.append(_read_function(tool.function, f"tools[{index}].function.name"))
    return declarations


def _read_function(function: Function, param: str) -> ToolDeclaration:
    if not function.name:
        raise OpenAIError(
            400,
            f"Invalid '{param}': empty string. "
            "Expected a string with minimum length 1, but got an empty string instead.",
            code="empty_string",
            param=param,
        )
    return ToolDeclaration(function.name, param, function.description or "", function.parameters, bool(function.strict))


def _choose_tool(
    request: ChatCompletionRequest,
    declared: DeclaredTools,
    capabilities: ModelCapabilities,
    max_tokens: int,
    output: _Output,
) -> ToolDecision:
    choice = _read_choice(request)
    if not declared.tools:
        dropped = TranslationWarning("tool_choice", "ignored", "no tools are given")
        return ToolDecision(warnings=(dropped,) if choice is not None and choice.mode == "required" else ())
    wants_budget = (
        request.reasoning_effort not in (None, "none") and capabilities.budget_only and max_tokens > MIN_BUDGET_TOKENS
    )
    # A legacy answer has room for one call.
    parallel = request.parallel_tool_calls is not False and (bool(request.tools) or not request.functions)
    return choose_tool(
        choice,
        declared,
        capabilities,
        parallel=parallel,
        may_force=not wants_budget,
        may_format=output.schema is None and output.instruction is None,
    )


def _read_choice(request: ChatCompletionRequest) -> ToolChoice | None:
    choice = request.tool_choice if request.tools else request.tool_choice or request.function_call
    match choice:
        case None:
            return None
        case "none" | "auto" | "required":
            return ToolChoice(choice)
        case FunctionChoice():
            return ToolChoice("required", choice.function.name)
        case CustomChoice():
            return ToolChoice("required", choice.custom.name)
        case AllowedToolsChoice():
            allowed = choice.allowed_tools
            named = [tool.function or tool.custom or tool for tool in allowed.tools]
            return ToolChoice(allowed.mode, allowed=tuple(tool.name for tool in named if tool.name is not None))
        case _:
            return ToolChoice("required", choice.name)


def _build_tools(
    request: ChatCompletionRequest,
    declared: DeclaredTools,
    decision: ToolDecision,
    conversation: Conversation,
    capabilities: ModelCapabilities,
    warnings: list[TranslationWarning],
) -> dict[str, Any]:
    tools = list(declared.tools)
    tool_choice = decision.tool_choice
    if not tools and conversation.called:
        tools.extend(declare_stubs(conversation.called))
        tool_choice = {"type": "none"}
        warnings.append(TranslationWarning("tools", "emulated", "the history calls tools that are not declared"))
    if request.web_search_options is not None:
        tools.extend(_build_web_search(request, tools, capabilities, warnings))
        if tool_choice == {"type": "none"} and not declared.tools:
            tool_choice = None
    params: dict[str, Any] = {"tools": tools} if tools else {}
    if tools and tool_choice is not None:
        params["tool_choice"] = tool_choice
    return params


def _build_web_search(
    request: ChatCompletionRequest,
    tools: Sequence[Mapping[str, Any]],
    capabilities: ModelCapabilities,
    warnings: list[TranslationWarning],
) -> list[dict[str, Any]]:
    options = request.web_search_options
    if options is None:
        return []
    if not capabilities.web_search:
        raise OpenAIError(400, "Web search options not supported with this model.", param="web_search_options")
    if any(tool["name"] == "web_search" for tool in tools):
        warnings.append(
            TranslationWarning("web_search_options", "ignored", "a tool of the client has Claude's name for it")
        )
        return []
    tool: dict[str, Any] = {
        "type": "web_search_20250305",
        "name": "web_search",
        "max_uses": _SEARCHES[options.search_context_size or "medium"],
    }
    if options.user_location is not None:
        place = options.user_location.approximate
        given = {"city": place.city, "country": place.country, "region": place.region, "timezone": place.timezone}
        tool["user_location"] = {"type": "approximate", **{name: value for name, value in given.items() if value}}
    return [tool]


# Prompt caching


def _build_cache_control(request: ChatCompletionRequest) -> dict[str, Any]:
    options = request.prompt_cache_options
    named: list[str | None] = [request.prompt_cache_retention, options.ttl if options is not None else None]
    for message in request.messages:
        if isinstance(message.content, list):
            marks = (getattr(part, "prompt_cache_breakpoint", None) for part in message.content)
            named.extend(mark.ttl for mark in marks if mark is not None)
    return build_cache_control(named)


def _place_breakpoints(
    conversation: Conversation,
    instruction: str | None,
    cache_control: dict[str, Any],
    request: ChatCompletionRequest,
    context: TranslationContext,
    warnings: list[TranslationWarning],
) -> dict[str, Any]:
    """`system`, `messages` and the automatic mark, with no more marks than Claude takes."""
    options = request.prompt_cache_options
    automatic = context.prompt_caching and not (options is not None and options.mode == "explicit")
    limit = MAX_BREAKPOINTS - 1 if automatic else MAX_BREAKPOINTS
    system: list[Block] = list(conversation.system)
    if instruction is not None:
        system.append({"type": "text", "text": instruction})
    messages = list(conversation.messages)
    if count_breakpoints(system, messages) > limit:
        system, messages = trim_breakpoints(system, messages, limit)
        warnings.append(TranslationWarning("prompt_cache_breakpoint", "changed", f"only the last {limit} are kept"))
    params: dict[str, Any] = {"system": system} if system else {}
    params["messages"] = messages
    if automatic:
        params["cache_control"] = cache_control
    return params
