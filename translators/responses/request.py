"""A Responses request to the parameters of Claude's Messages API.

Which parameter is mapped, emulated, ignored or refused, and how, is the table in `parameters.py`. What comes out is a
pure function of the request and the context: the same order always, so that a longer history begins with the bytes of a
shorter. What a response or a conversation stored before is an argument.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import msgspec

from translators.backends import fit_request
from translators.content import Block
from translators.downloads import word_download_error
from translators.errors import OpenAIError
from translators.json_schema import UnknownTypeError
from translators.messages import Conversation, arrange_turns, is_in_tool_loop_without_thinking
from translators.model_catalog import ModelCapabilities, ModelCatalog
from translators.output_cap import choose_max_tokens
from translators.output_format import OutputFormat, ask_for_json_object, ask_for_json_schema
from translators.preserved_thinking import is_thinking, strip_thinking
from translators.prompt_caching import build_cache_control, place_breakpoints
from translators.reasoning import MIN_BUDGET_TOKENS, Thinking, choose_thinking
from translators.request_errors import invalid_format_schema
from translators.responses.automatic_compaction import (
    choose_threshold,
    compacted,
    plain_items,
    since_compaction,
    split_for_compaction,
)
from translators.responses.code_interpreter import CODE_EXECUTION, Container
from translators.responses.conversation import ReadConversation, read_conversation
from translators.responses.echo import build_echo
from translators.responses.item_types import CustomToolCallOutput, FunctionCallOutput, Message
from translators.responses.items import translate_items
from translators.responses.mcp_servers import MCP_BETA
from translators.responses.prefix_binding import bind_thinking
from translators.responses.remembered_thinking import calls_without_reasoning, put_back_thinking
from translators.responses.reply_plan import InputTransformation, ResponsesPlan, ToolIdentity
from translators.responses.request_types import JsonObjectFormat, JsonSchemaFormat, ResponsesRequest
from translators.responses.tool_declarations import ReadTools, read_choice, read_tools
from translators.responses.truncation import measure_turns, without_turns
from translators.responses.unsupported import refuse_unsupported, warn_of_ignored
from translators.sampling import choose_sampling
from translators.service import translate_identity, translate_service_tier
from translators.tool_choice import ToolChoice, ToolDecision, build_tools, choose_tool
from translators.tools import DeclaredTools, declare_tools, to_claude_name, without_strict_tools
from translators.translation_warning import Action, TranslationWarning
from translators.turn_types import Recall, SystemTurn, Turn, UserTurn
from translators.unknown_parameters import warn_of_unknown
from translators.uploaded_files import add_container_files
from translators.waiting_calls import settle_server_calls

__all__ = ["ResponsesContext", "TranslatedResponsesRequest", "translate_request"]

_COMPACT = (
    "Summarise our conversation up to here. The summary takes its place: whoever goes on has nothing else, so keep "
    "what is needed for that. What the user wants, in the user's own words where they matter; the rules that were "
    "given; what was done and found out, with exact names, paths, values and errors; what failed, and why; what is "
    "decided, what is still open, and the next step. Call no tools. Reply with the summary only."
)

_PARAMS: Mapping[str, str] = {
    "messages": "input",
    "messages.content": "input.content",
    "messages.role": "input.role",
    "messages.tool_call_id": "input.call_id",
    "messages.tool_calls": "input.function_call",
    "reasoning_effort": "reasoning.effort",
}
"""This endpoint's names of what the shared translations warn of."""


def _resolve_nothing(_: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class ResponsesContext:
    """What a translation needs besides the request."""

    catalog: ModelCatalog
    envelope_key: bytes
    """Secret that seals and opens `encrypted_content`: the same after a restart and in every process."""
    id_seed: str = ""
    """Makes the ids of input items that have none: the id of the response."""
    history: Sequence[Mapping[str, Any]] = ()
    """Stored items that come before the request's own: of the conversation, or of the chain of previous responses
    (input and output of each). Their instructions do not count."""
    resolve_item: Callable[[str], Mapping[str, Any] | None] = _resolve_nothing
    """Finds a stored item of the same client by its id."""
    recall: Recall = _resolve_nothing
    """Finds the blocks of the answer that made a call, by its `call_id`, for clients that send no reasoning items."""
    default_max_tokens: int | None = None
    """Cap in tokens for requests that have none; None: the model's own maximum."""
    max_tokens_limit: int | None = None
    """Largest cap that a client may ask; None: the model's own maximum."""
    containers: Mapping[str, Container] = field(default_factory=dict)
    """The containers that `find_container_ids` found, by the client's ids of them, the most wanted first."""
    show_thinking: Literal["asked", "always", "never"] = "asked"
    """Whom a summary of the thinking is shown: those that ask for one, all, or nobody."""
    refuses_in_text: bool = False
    """The client leaves out a message that has any other part than text."""
    prompt_caching: bool = True
    """Ask Claude to cache the conversation's prefix."""
    dropped_turns: int = 0
    """How many of the oldest turns are left out, because the conversation was too long with them."""
    compacts: bool = False
    """Ask for the compaction that comes before the answer (`context_management`), instead of the answer."""
    compaction: Mapping[str, Any] | None = None
    """The item of that compaction, once it is made: the answer goes on from it."""


@dataclass(frozen=True, slots=True)
class TranslatedResponsesRequest:
    """The call to make to Claude."""

    params: dict[str, Any]
    """Body of POST /v1/messages, ready to be encoded as JSON; always a stream."""
    headers: dict[str, str]
    """Headers besides the client's own."""
    plan: ResponsesPlan
    input_items: tuple[dict[str, Any], ...]
    """The request's own items as they are stored and listed: references followed, each with a type and an id."""
    warnings: tuple[TranslationWarning, ...] = ()
    replays_thinking: bool = False
    """Whether `params` holds thinking of earlier turns, which Claude may refuse."""
    replayed: tuple[str, ...] = ()
    """Ids of the reasoning items whose thinking `params` holds."""
    turn_sizes: tuple[int, ...] = ()
    """Of all turns, in bytes, where the oldest may be left out (`truncation`), those that are left out too."""
    compact_threshold: int | None = None
    """Number of tokens after which the conversation is compacted first. None: it is not."""

    def without_thinking(self) -> "TranslatedResponsesRequest":
        """Return the same request without the thinking of earlier turns, for one more try after Claude refused it."""
        warning = TranslationWarning("input.reasoning", "degraded", "thinking of earlier turns was left out")
        removed = tuple(InputTransformation(item_id, "prefix_mismatch") for item_id in self.replayed)
        transformations = (*self.plan.input_transformations, *removed)
        return replace(
            self,
            params=strip_thinking(self.params),
            plan=replace(self.plan, input_transformations=transformations),
            warnings=(*self.warnings, warning),
            replays_thinking=False,
            replayed=(),
        )

    def without_strict_tools(self) -> "TranslatedResponsesRequest":
        """Return the same request with tools that need not be called by their schemas, after Claude refused those."""
        warning = TranslationWarning("tools.strict", "degraded", "Claude finds the schemas too complex to hold to them")
        return replace(self, params=without_strict_tools(self.params), warnings=(*self.warnings, warning))

    def word_error(self, error: OpenAIError) -> OpenAIError:
        """Word Claude's refusal as this endpoint does: recorded answers have a 400 for an unknown model, not a 404."""
        match error.code:
            case "context_length_exceeded":
                return replace(error, param="input")
            case "model_not_found" if error.status == 404:
                message = f"The requested model '{self.plan.claude_model}' does not exist."
                return replace(error, status=400, message=message, param="model")
            case _:
                return word_download_error(error, self.params, code="invalid_value", param="url")


def translate_request(request: ResponsesRequest, context: ResponsesContext) -> TranslatedResponsesRequest:
    """Translate a request.

    Raises:
        OpenAIError: 400 for what Claude cannot do and must not be left out (hosted tools, log probabilities, blocking
            moderation, ...); 404 for a reference to an item that is not stored.
    """
    refuse_unsupported(request.parameters)
    model = context.catalog.resolve(request.parameters.model)
    read = read_conversation(request, context.history, context.resolve_item, context.id_seed)
    read = replace(read, items=since_compaction(read.items, context.envelope_key))
    threshold, kept_items = None, None
    if context.compaction is not None:
        read = compacted(read, context.compaction)
    elif context.compacts:
        summarised, kept = split_for_compaction(read.items)
        read = replace(read, items=summarised, is_compaction=True)
        kept_items = plain_items(kept)
    else:
        threshold = choose_threshold(request.parameters, read, model.capabilities.max_input_tokens)
    shortened = replace(read, items=without_turns(read.items, context.dropped_turns))
    translation = _Translation(request, context, model.id, model.capabilities, shortened)
    if context.dropped_turns:
        detail = f"too long: the oldest {context.dropped_turns} turns are left out"
        translation.warnings.append(TranslationWarning("truncation", "emulated", detail))
    translation.warnings.extend(model.warnings)
    translation.warnings.extend(warn_of_ignored(request.parameters))
    translated = translation.translate()
    return replace(
        translated,
        plan=replace(translated.plan, kept_items=kept_items),
        # Last, because they keep the client's names: `messages` is none for `input` here.
        warnings=(*translated.warnings, *warn_of_unknown(request.unknown_parameters)),
        turn_sizes=measure_turns(read.items) if request.parameters.truncation == "auto" else (),
        compact_threshold=threshold,
    )


@dataclass(slots=True)
class _Translation:
    """One translation under way: what it reads, and the warnings that it gathers."""

    request: ResponsesRequest
    context: ResponsesContext
    model: str
    capabilities: ModelCapabilities
    read: ReadConversation
    warnings: list[TranslationWarning] = field(default_factory=list)

    def translate(self) -> TranslatedResponsesRequest:
        given = self.request.parameters
        max_tokens, cap_warnings = choose_max_tokens(
            # The cap is the answer's, not the summary's.
            {"max_output_tokens": None if self.context.compacts else given.max_output_tokens},
            self.capabilities,
            default=self.context.default_max_tokens,
            limit=self.context.max_tokens_limit,
        )
        self.warnings.extend(cap_warnings)
        output = self._choose_format()
        tools = read_tools(self.request, self.read.late_tools, self.capabilities)
        self.warnings.extend(tools.warnings)
        declared = declare_tools(tools.declarations, self.capabilities, spent=output.grammar)
        self.warnings.extend(declared.warnings)
        declared = msgspec.structs.replace(declared, server=tools.server)
        decision = self._choose_tool(tools, declared, max_tokens, output)
        self.warnings.extend(decision.warnings)

        cache_control = self._build_cache_control()
        translated = translate_items(
            self.read.items,
            declared,
            key=self.context.envelope_key,
            model=self.model,
            cache_control=cache_control,
            mcp_servers=[server["name"] for server in tools.mcp_servers],
        )
        self.warnings.extend(translated.warnings)
        conversation = self._converse(translated.turns, decision, output, max_tokens)
        tool_params, allowed, tool_warnings = build_tools(declared, decision, conversation.called)
        self.warnings.extend(tool_warnings)
        system = list(conversation.system)
        if output.instruction is not None:
            system.append({"type": "text", "text": output.instruction})
        container_id, container = self._choose_container(tools)
        tools_sent = tool_params.get("tools", ())
        settled = settle_server_calls(conversation.messages, tools_sent)
        self.warnings.extend(settled.warnings)
        messages = add_container_files(settled.messages, container.file_ids)
        bound = bind_thinking(system, tools_sent, messages, translated.sealed)
        if bound.transformations:
            self._warn("input.reasoning", "degraded", "reasoning after something that changed is left out")
        lost = is_in_tool_loop_without_thinking(bound.messages)
        thinking = self._choose_thinking(max_tokens, decision, may_use_budget=not lost)
        self.warnings.extend(thinking.warnings)

        params: dict[str, Any] = {"model": self.model, "max_tokens": max_tokens, "stream": True}
        params.update(self._place_breakpoints(system, bound.messages, cache_control))
        params.update(tool_params)
        sampling = choose_sampling(given.temperature, given.top_p, self.capabilities, thinks=thinking.on)
        self.warnings.extend(sampling.warnings)
        params.update(self._build_output_params(thinking, decision, output))
        params.update(sampling.params)
        if container.claude_id is not None:
            params["container"] = container.claude_id
        if tools.mcp_servers:
            params["mcp_servers"] = list(tools.mcp_servers)
        plan = ResponsesPlan(
            model=given.model,
            claude_model=self.model,
            stream=bool(given.stream),
            echo=build_echo(self.request, self.read.reasoning, self.read.text),
            tools=_identify(tools, declared),
            forced_tool=None if decision.forced_tool is None else to_claude_name(decision.forced_tool),
            allowed_tools=None if allowed is None else frozenset(to_claude_name(name) for name in allowed),
            # The next request does not end with this instruction any more.
            seals_thinking=decision.instruction is None and not self.read.is_compaction,
            prefix=bound.prefix,
            shows_summary=self._shows_thinking(),
            refuses_in_text=self.context.refuses_in_text,
            include=frozenset(given.include or ()),
            json_object=output.instruction is not None,
            is_compaction=self.read.is_compaction,
            container_id=container_id,
            container_files=container.file_ids,
            waiting_calls=settled.waiting,
            input_transformations=(*translated.transformations, *bound.transformations),
            store=given.store is not False,
            background=bool(given.background),
        )
        removed = {transformation.id for transformation in plan.input_transformations}
        replayed = dict.fromkeys(origin.item_id for origin in translated.sealed.values())
        betas = {"anthropic-beta": MCP_BETA} if tools.mcp_servers else {}
        params, headers = fit_request(
            params, {**sampling.headers, **betas}, self.model, before_4_7=self.capabilities.sampling, param="input"
        )
        return TranslatedResponsesRequest(
            params=params,
            headers=headers,
            plan=plan,
            input_items=self.read.input_items,
            warnings=tuple(dict.fromkeys(_rename(warning) for warning in self.warnings)),
            replays_thinking=any(is_thinking(block) for message in bound.messages for block in message["content"]),
            replayed=tuple(item_id for item_id in replayed if item_id not in removed),
        )

    def _warn(self, param: str, action: Action, detail: str) -> None:
        self.warnings.append(TranslationWarning(param, action, detail))

    def _choose_format(self) -> OutputFormat:
        form = self.read.text.format
        if self.read.is_compaction:
            return OutputFormat()
        match form:
            case JsonSchemaFormat():
                output = self._ask_for_json_schema(form)
            case JsonObjectFormat():
                output = ask_for_json_object("text.format")
            case _:
                output = OutputFormat()
        self.warnings.extend(output.warnings)
        return output

    def _ask_for_json_schema(self, form: JsonSchemaFormat) -> OutputFormat:
        try:
            return ask_for_json_schema(form.schema, self.capabilities, "text.format")
        except UnknownTypeError as error:
            raise invalid_format_schema(form.name, "text.format.schema", error.value, "invalid_json_schema") from error

    def _choose_tool(
        self, tools: ReadTools, declared: DeclaredTools, max_tokens: int, output: OutputFormat
    ) -> ToolDecision:
        choice = read_choice(self.request, tools)
        if not declared.tools and not declared.server:
            if choice is not None and choice.mode == "required":
                self._warn("tool_choice", "ignored", "no tools are given")
            return ToolDecision()
        if self.read.is_compaction:
            # The tools stay as they are: they begin the prefix that is in the cache.
            return choose_tool(ToolChoice("none"), declared)
        wants_thinking = self.read.reasoning.effort not in (None, "none")
        wants_budget = wants_thinking and self.capabilities.budget_only and max_tokens > MIN_BUDGET_TOKENS
        return choose_tool(
            choice,
            declared,
            parallel=self.request.parameters.parallel_tool_calls is not False,
            may_force=self.capabilities.forced_tool_choice and not wants_budget,
            may_format=self.capabilities.structured_outputs and output.schema is None and output.instruction is None,
        )

    def _choose_container(self, tools: ReadTools) -> tuple[str | None, Container]:
        """Choose the container that code runs in, with all of its files; its id is the client's, None for a new one.

        Files that are in it are named again: they stand where the conversation begins, and thinking is bound to that.
        """
        if tools.container is not None and tools.container not in self.context.containers:
            message = f"Container with id '{tools.container}' not found."
            raise OpenAIError(404, message, param="tools")
        container_id, container = next(iter(self.context.containers.items()), (None, Container()))
        if not any(tool.get("name") == CODE_EXECUTION for tool in tools.server):
            return None, Container()
        if container.has_lost_files:
            detail = "a file of it was deleted: Claude is not told of it again"
            self._warn("tools.code_interpreter.container", "degraded", detail)
        file_ids = tuple(dict.fromkeys((*container.file_ids, *tools.container_files)))
        return container_id, replace(container, file_ids=file_ids)

    def _converse(
        self, said: Sequence[Turn], decision: ToolDecision, output: OutputFormat, max_tokens: int
    ) -> Conversation:
        calls = calls_without_reasoning(placed.item for placed in self.read.items)
        turns = put_back_thinking(said, calls, self.context.recall)
        instructions = self.request.parameters.instructions
        if instructions and instructions.strip():
            turns.insert(0, SystemTurn(({"type": "text", "text": instructions},)))
        if self.read.is_compaction:
            turns.append(UserTurn(({"type": "text", "text": _COMPACT},)))
        elif decision.instruction is not None:
            turns.append(SystemTurn(({"type": "text", "text": decision.instruction},)))
        formatted = output.schema is not None or decision.output_schema is not None
        may_prefill = not formatted and not self._choose_thinking(max_tokens, decision).on
        conversation = arrange_turns(turns, self.capabilities, lambda _: None, may_prefill=may_prefill)
        self.warnings.extend(conversation.warnings)
        return conversation

    def _choose_thinking(self, max_tokens: int, decision: ToolDecision, *, may_use_budget: bool = True) -> Thinking:
        forces = (decision.tool_choice or {}).get("type") in {"any", "tool"}
        return choose_thinking(
            self.read.reasoning.effort,
            self.capabilities,
            max_tokens,
            show_thinking=self._shows_thinking(),
            may_use_budget=may_use_budget and not forces,
        )

    def _shows_thinking(self) -> bool:
        reasoning = self.read.reasoning
        asked = (reasoning.summary or reasoning.generate_summary) is not None
        return self.context.show_thinking == "always" or (self.context.show_thinking == "asked" and asked)

    def _build_output_params(self, thinking: Thinking, decision: ToolDecision, output: OutputFormat) -> dict[str, Any]:
        given = self.request.parameters
        params: dict[str, Any] = {} if thinking.thinking is None else {"thinking": thinking.thinking}
        output_config: dict[str, Any] = {} if thinking.effort is None else {"effort": thinking.effort}
        schema = decision.output_schema or output.schema
        if schema is not None:
            output_config["format"] = {"type": "json_schema", "schema": schema}
        if output_config:
            params["output_config"] = output_config
        params.update(translate_identity(given.safety_identifier, given.user))
        tier, warnings = translate_service_tier(given.service_tier)
        self.warnings.extend(warnings)
        return {**params, **tier}

    def _build_cache_control(self) -> dict[str, Any]:
        given = self.request.parameters
        named: list[str | None] = [given.prompt_cache_retention]
        if given.prompt_cache_options is not None:
            named.append(given.prompt_cache_options.ttl)
        for placed in self.read.items:
            match placed.item:
                case Message(content=list() as parts):
                    pass
                case FunctionCallOutput(output=list() as parts) | CustomToolCallOutput(output=list() as parts):
                    pass
                case _:
                    continue
            marks = (getattr(part, "prompt_cache_breakpoint", None) for part in parts)
            named.extend(mark.ttl for mark in marks if mark is not None)
        return build_cache_control(named)

    def _place_breakpoints(
        self, system: Sequence[Block], messages: Sequence[dict[str, Any]], cache_control: Mapping[str, Any]
    ) -> dict[str, Any]:
        options = self.request.parameters.prompt_cache_options
        automatic = self.context.prompt_caching and not (options is not None and options.mode == "explicit")
        params, warnings = place_breakpoints(system, messages, cache_control if automatic else None)
        self.warnings.extend(warnings)
        return params


def _identify(tools: ReadTools, declared: DeclaredTools) -> dict[str, ToolIdentity]:
    return {
        to_claude_name(name): replace(identity, wrapped=name in declared.wrapped)
        for name, identity in tools.identities.items()
    }


def _rename(warning: TranslationWarning) -> TranslationWarning:
    return replace(warning, param=_PARAMS.get(warning.param, warning.param))
