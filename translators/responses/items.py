"""Items of a Responses conversation to the turns of Claude's.

| item | turn |
|---|---|
| message | instructions, words of the user, or text of the assistant, by its role |
| reasoning with an envelope of ours | the blocks in it, in their place |
| reasoning of others, or of another model | nothing: named in `input_transformations` |
| calls of the client's tools | a tool call |
| their outputs | its result, images and files too |
| compaction | the summary, as words of the user |
| web_search_call, code_interpreter_call, mcp_call | nothing: its blocks are in the envelope beside it |
| mcp_list_tools | nothing: Claude asks the server again |
| calls of tools that OpenAI ran, unknown types | nothing, with a warning |

Ids, statuses and phases never reach Claude: they change from request to request.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import msgspec

from translators.content import (
    Block,
    document_by_url,
    image_by_id,
    refuse_audio,
    text_block,
    text_blocks,
    translate_file,
    translate_image,
)
from translators.preserved_thinking import is_thinking, thinking_key
from translators.request_errors import missing_parameter
from translators.responses.client_tools import APPLY_PATCH, LOCAL_SHELL, SHELL, TOOL_SEARCH, restore_input
from translators.responses.conversation import PlacedItem
from translators.responses.item_types import (
    LEFT_OUT,
    AdditionalTools,
    AgentMessage,
    ApplyPatchCall,
    ApplyPatchCallOutput,
    CodeInterpreterCall,
    CompactionItem,
    CompactionTrigger,
    ConfigurationUpdate,
    ContentPart,
    CustomToolCall,
    CustomToolCallOutput,
    EncryptedContent,
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputFile,
    InputImage,
    InputItem,
    InputText,
    ItemReference,
    LeftOutItem,
    LocalShellCall,
    LocalShellCallOutput,
    McpCall,
    McpListTools,
    Message,
    OutputText,
    PlainText,
    ReasoningItem,
    ReasoningText,
    Refusal,
    ShellCall,
    ShellCallOutput,
    SummaryText,
    ToolSearchCall,
    ToolSearchOutput,
    WebSearchCall,
)
from translators.responses.reasoning_envelope import open_compaction, open_envelope
from translators.responses.reply_plan import InputTransformation
from translators.responses.request_body import parse_item
from translators.responses.tool_declarations import name_tool
from translators.tools import DeclaredTools, parse_arguments, to_claude_name
from translators.translation_warning import Action, TranslationWarning
from translators.turn_types import AssistantTurn, Call, ResultTurn, SystemTurn, Turn, UserTurn
from translators.waiting_calls import SERVER_CALLS, is_server_result

__all__ = ["SealedThinking", "TranslatedItems", "translate_items"]

_SUMMARY = "This is a summary of the conversation up to here, which takes its place:\n\n"
_LOST_SUMMARY = "(Here stands a summary of the conversation up to here. It cannot be read any more.)"


@dataclass(frozen=True, slots=True)
class SealedThinking:
    """Where a thinking block came from."""

    item_id: str
    prefix: str
    """Tag of all that came before its answer."""


@dataclass(frozen=True, slots=True)
class TranslatedItems:
    """The turns, and what became of the reasoning."""

    turns: tuple[Turn, ...]
    sealed: Mapping[str, SealedThinking]
    """By the signature, or the data, of the block."""
    transformations: tuple[InputTransformation, ...] = ()
    warnings: tuple[TranslationWarning, ...] = ()


def translate_items(  # noqa: PLR0913 - what is translated, and all that its blocks depend on
    items: Sequence[PlacedItem],
    declared: DeclaredTools,
    *,
    key: bytes,
    model: str,
    cache_control: Mapping[str, Any],
    mcp_servers: Collection[str] = (),
) -> TranslatedItems:
    """Translate the items of a conversation, in their order.

    Args:
        items: references are followed already.
        declared: its tools: calls of wrapped tools are written as Claude made them.
        key: opens the envelopes.
        model: Claude's id of the model that answers.
        cache_control: what an explicit `prompt_cache_breakpoint` becomes.
        mcp_servers: the remote servers of the request. Claude takes no calls of others back.

    Raises:
        OpenAIError: 400 for content that Claude cannot have.
    """
    translation = _Translation(declared, key, model, cache_control, mcp_servers)
    turns: list[Turn] = []
    for placed in items:
        turns.extend(translation.translate(placed.item, placed.path))
    translation.report_lost_calls()
    return TranslatedItems(
        tuple(translation.without_loose_ends(turns)),
        translation.sealed,
        tuple(translation.transformations),
        tuple(dict.fromkeys(translation.warnings)),
    )


@dataclass(slots=True)
class _Translation:
    declared: DeclaredTools
    key: bytes
    model: str
    cache_control: Mapping[str, Any]
    mcp_servers: Collection[str]
    sealed: dict[str, SealedThinking] = field(default_factory=dict)
    transformations: list[InputTransformation] = field(default_factory=list)
    warnings: list[TranslationWarning] = field(default_factory=list)
    open_calls: list[tuple[str, str]] = field(default_factory=list)
    """Id and name of each function call without a result so far."""
    call_ids: dict[str, str] = field(default_factory=dict)
    """Ids of calls by the ids of their items: results of the local shell have only those."""
    calls_shown: list[str] = field(default_factory=list)
    """Claude's own calls, as the client was shown them, by the names of their warnings."""
    calls_sealed: int = 0

    def translate(self, item: InputItem, path: str) -> list[Turn]:
        match item:
            case Message():
                return self._translate_message(item, path)
            case AgentMessage():
                return [UserTurn(self._blocks(item.content, f"{path}.content"))]
            case ReasoningItem():
                return self._translate_reasoning(item)
            case CompactionItem():
                return self._translate_compaction(item, path)
            case FunctionCall() | CustomToolCall() | ShellCall() | LocalShellCall() | ApplyPatchCall():
                return [AssistantTurn((), (self._translate_call(item),))]
            case ToolSearchCall(call_id=str() as call_id):
                return [AssistantTurn((), (Call(call_id, TOOL_SEARCH, _search_input(item.arguments)),))]
            case FunctionCallOutput() | CustomToolCallOutput():
                return [self._translate_output(item, path)]
            case ShellCallOutput() | LocalShellCallOutput() | ApplyPatchCallOutput() | ToolSearchOutput():
                return self._translate_client_output(item)
            case WebSearchCall():
                return self._note_shown("input.web_search_call")
            case CodeInterpreterCall():
                return self._note_shown("input.code_interpreter_call")
            case McpCall():
                return self._note_shown("input.mcp_call")
            case McpListTools():
                self._warn("input.mcp_list_tools", "ignored", "Claude asks the server again")
                return []
            case ToolSearchCall():
                self._warn("input.tool_search_call", "ignored", "OpenAI made the search: what it found is declared")
                return []
            case LeftOutItem():
                param = f"input.{item.type}" if item.type in LEFT_OUT else "input"
                self._warn(param, "degraded", f"an item of type {item.type[:64]!r} is left out")
                return []
            case AdditionalTools() | CompactionTrigger() | ConfigurationUpdate() | ItemReference():
                return []

    def _note_shown(self, param: str) -> list[Turn]:
        """Note a call that the client was shown: what came of it is in an envelope."""
        self.calls_shown.append(param)
        return []

    def report_lost_calls(self) -> None:
        if len(self.calls_shown) > self.calls_sealed:
            for name in dict.fromkeys(self.calls_shown):
                self._warn(name, "degraded", "a call without what came of it is left out")

    def without_loose_ends(self, turns: list[Turn]) -> list[Turn]:
        """Leave out what Claude refuses: thinking that nothing follows, and its own tools' calls without results.

        Calls beside the client's may be waiting for theirs (`translators.waiting_calls`).
        """
        results = {block["tool_use_id"] for block in _blocks_of(turns) if is_server_result(block)}
        calls = {block["id"] for block in _blocks_of(turns) if block["type"] in SERVER_CALLS}
        may_wait = _calls_beside_others(turns)

        def is_paired(block: Block) -> bool:
            if block["type"] in SERVER_CALLS:
                return block["id"] in results or block["id"] in may_wait
            return not is_server_result(block) or block["tool_use_id"] in calls

        kept: list[Turn] = []
        ends = True
        for turn in reversed(turns):
            if not isinstance(turn, AssistantTurn):
                kept.append(turn)
                ends = True
                continue
            blocks = tuple(block for block in turn.blocks if is_paired(block))
            if ends and not turn.calls:
                blocks = self._without_last_thinking(blocks)
            ends = ends and not blocks and not turn.calls
            kept.append(AssistantTurn(blocks, turn.calls))
        return kept[::-1]

    def _without_last_thinking(self, blocks: tuple[Block, ...]) -> tuple[Block, ...]:
        while blocks and is_thinking(blocks[-1]):
            sealed = self.sealed[thinking_key(blocks[-1])]
            removed = InputTransformation(sealed.item_id, "turn_boundary")
            if removed not in self.transformations:
                self.transformations.append(removed)
            blocks = blocks[:-1]
        return blocks

    # Messages

    def _translate_message(self, message: Message, path: str) -> list[Turn]:
        blocks = self._blocks(message.content, f"{path}.content")
        texts = tuple(block for block in blocks if block["type"] == "text")
        match message.role:
            case "user":
                return [UserTurn(blocks)]
            case "assistant":
                if len(texts) < len(blocks):
                    self._warn("input.content", "degraded", "an image or a file of the assistant is left out")
                return [AssistantTurn(texts)]
            case "system" | "developer":
                others = tuple(block for block in blocks if block["type"] != "text")
                if not others:
                    return [SystemTurn(texts)]
                self._warn("input.content", "emulated", "an image or a file of the developer is shown by the user")
                return [SystemTurn(texts), UserTurn(others)]

    def _blocks(self, content: str | Sequence[ContentPart], path: str) -> tuple[Block, ...]:
        if isinstance(content, str):
            return text_blocks(content)
        blocks: list[Block] = []
        for index, part in enumerate(content):
            block = self._translate_part(part, f"{path}[{index}]")
            if block is not None:
                blocks.append(block)
            # A mark on blank text, which has no block, ends the cached prefix at the block before.
            if blocks and getattr(part, "prompt_cache_breakpoint", None) is not None:
                blocks[-1] = {**blocks[-1], "cache_control": dict(self.cache_control)}
        return tuple(blocks)

    def _translate_part(self, part: ContentPart, path: str) -> Block | None:
        if isinstance(part, InputAudio):
            refuse_audio(path)
        match part:
            case InputImage():
                if part.detail not in (None, "auto"):
                    self._warn("input.content.detail", "ignored", "Claude sees every image in full")
                if part.image_url is not None:
                    return translate_image(part.image_url, f"{path}.image_url")
                if not part.file_id:
                    raise missing_parameter(f"{path}.image_url")
                return image_by_id(part.file_id)
            case InputFile():
                if part.detail not in (None, "auto"):
                    self._warn("input.content.detail", "ignored", "Claude sees every page in full")
                if part.file_data is None and part.file_url:
                    return document_by_url(part.file_url, part.filename)
                return translate_file(part.file_data, part.file_id, part.filename, path)
            case Refusal():
                return text_block(part.refusal)
            case EncryptedContent():
                return text_block(part.encrypted_content)
            case InputText() | OutputText() | PlainText() | SummaryText() | ReasoningText():
                return text_block(part.text)

    # Reasoning

    def _translate_reasoning(self, item: ReasoningItem) -> list[Turn]:
        envelope = open_envelope(item.encrypted_content or "", self.key)
        if envelope is None or envelope.model != self.model:
            reason = "ours, but of another model" if envelope is not None else "not ours"
            self._warn("input.reasoning", "ignored", f"reasoning that is {reason} is left out")
            self.transformations.append(
                InputTransformation(item.id, "organization_mismatch" if envelope is None else "model_mismatch")
            )
            return []
        blocks = tuple(block for block in envelope.blocks if self._is_taken_back(block))
        for block in blocks:
            if is_thinking(block):
                self.sealed[thinking_key(block)] = SealedThinking(item.id, envelope.prefix)
        # A call that waited was shown twice, and is in two envelopes: itself in one, its result in the other.
        sealed_calls = {block["id"] for block in blocks if block["type"] in SERVER_CALLS}
        sealed_calls |= {block["tool_use_id"] for block in blocks if is_server_result(block)}
        self.calls_sealed += len(sealed_calls)
        return [AssistantTurn(blocks)] if blocks else []

    def _is_taken_back(self, block: Block) -> bool:
        if block["type"] in ("mcp_tool_use", "mcp_tool_listing"):
            return block.get("server_name", block.get("mcp_server_name")) in self.mcp_servers
        return not is_thinking(block) or bool(thinking_key(block))

    def _translate_compaction(self, item: CompactionItem, path: str) -> list[Turn]:
        compaction = open_compaction(item.encrypted_content, self.key)
        if compaction is None:
            self._warn("input.compaction", "degraded", "a summary that is not ours cannot be read")
            return [UserTurn(({"type": "text", "text": _LOST_SUMMARY},))]
        turns: list[Turn] = [UserTurn(({"type": "text", "text": _SUMMARY + compaction.summary},))]
        for kept in compaction.kept or ():
            turns += self.translate(parse_item(kept, path), path)
        return turns

    # Tool calls

    def _translate_call(
        self, item: FunctionCall | CustomToolCall | ShellCall | LocalShellCall | ApplyPatchCall
    ) -> Call:
        match item:
            case FunctionCall():
                name = name_tool(item.name, item.namespace)
                self.open_calls.append((item.call_id, name))
                wrapped = name in self.declared.wrapped
                return Call(item.call_id, to_claude_name(name), parse_arguments(item.arguments, wrapped=wrapped))
            case CustomToolCall():
                name = name_tool(item.name, item.namespace)
                return Call(item.call_id, to_claude_name(name), {"input": item.input})
            case ShellCall():
                return Call(item.call_id, SHELL, restore_input(SHELL, item.action))
            case LocalShellCall():
                self.call_ids[item.id] = item.call_id
                return Call(item.call_id, LOCAL_SHELL, restore_input(LOCAL_SHELL, item.action))
            case ApplyPatchCall():
                return Call(item.call_id, APPLY_PATCH, restore_input(APPLY_PATCH, item.operation))

    def _translate_output(self, item: FunctionCallOutput | CustomToolCallOutput, path: str) -> ResultTurn:
        call_id = item.call_id
        if isinstance(item, FunctionCallOutput):
            call_id = call_id or self._last_open_call(name_tool(item.name or "", item.namespace))
            self.open_calls = [call for call in self.open_calls if call[0] != call_id]
        blocks = self._blocks(item.output, f"{path}.output")
        # Claude takes a breakpoint on the result itself.
        marked = any("cache_control" in block for block in blocks)
        plain = tuple({name: value for name, value in block.items() if name != "cache_control"} for block in blocks)
        return ResultTurn(call_id or "", plain, self.cache_control if marked else None)

    def _last_open_call(self, name: str) -> str:
        """Find the open call of that name that came last; without one, return an id that no call has."""
        return next((call_id for call_id, called in reversed(self.open_calls) if called == name), f"function {name}")

    def _translate_client_output(
        self, item: ShellCallOutput | LocalShellCallOutput | ApplyPatchCallOutput | ToolSearchOutput
    ) -> list[Turn]:
        match item:
            case ShellCallOutput():
                return [_result(item.call_id, msgspec.json.encode(item.output).decode())]
            case LocalShellCallOutput():
                return [_result(item.call_id or self.call_ids.get(item.id, item.id), item.output)]
            case ApplyPatchCallOutput():
                return [_result(item.call_id, f"{item.status}\n{item.output or ''}".strip())]
            case ToolSearchOutput(call_id=str() as call_id):
                names = ", ".join(f"`{to_claude_name(name)}`" for name in _names_of(item.tools))
                return [_result(call_id, f"Tools found: {names}." if names else "No tools found.")]
            case ToolSearchOutput():
                return []

    def _warn(self, param: str, action: Action, detail: str) -> None:
        self.warnings.append(TranslationWarning(param, action, detail))


def _result(call_id: str, text: str) -> ResultTurn:
    return ResultTurn(call_id, text_blocks(text))


def _search_input(arguments: Any) -> dict[str, Any]:
    if isinstance(arguments, str):
        return parse_arguments(arguments)
    return arguments if isinstance(arguments, dict) else {"input": arguments}


def _names_of(tools: Sequence[Mapping[str, Any]]) -> list[str]:
    names: list[str] = []
    for tool in tools:
        members = tool.get("tools")
        if isinstance(members, list):
            names += [name_tool(str(member.get("name")), str(tool.get("name"))) for member in members]
        elif isinstance(tool.get("name"), str):
            names.append(tool["name"])
    return names


def _calls_beside_others(turns: Sequence[Turn]) -> set[str]:
    """Return the ids of Claude's calls of its own tools in answers that call the client's too."""
    found: set[str] = set()
    for is_answer, group in groupby(turns, lambda turn: isinstance(turn, AssistantTurn)):
        answer = list(group)
        if is_answer and any(isinstance(turn, AssistantTurn) and turn.calls for turn in answer):
            found.update(block["id"] for block in _blocks_of(answer) if block["type"] in SERVER_CALLS)
    return found


def _blocks_of(turns: Sequence[Turn]) -> list[Block]:
    return [block for turn in turns if isinstance(turn, AssistantTurn) for block in turn.blocks]
