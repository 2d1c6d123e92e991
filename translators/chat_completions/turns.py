"""Chat Completions messages to the turns of a conversation.

| role | turn |
|---|---|
| system, developer | instructions |
| user | words of the user; a `name` is said in a line before them |
| assistant | text (a refusal is text), tool calls, legacy function call |
| tool, function | result of a call; a legacy one answers the last open call of its name |
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from translators.chat_completions.request_types import (
    AssistantMessage,
    ContentPart,
    CustomToolCall,
    DeveloperMessage,
    FilePart,
    FunctionCall,
    FunctionMessage,
    FunctionToolCall,
    ImagePart,
    InputAudioPart,
    Message,
    RefusalPart,
    SystemMessage,
    TextPart,
    ToolMessage,
    UserMessage,
)
from translators.content import Block, refuse_audio, text_block, text_blocks, translate_file, translate_image
from translators.errors import OpenAIError
from translators.tools import DeclaredTools, parse_arguments, to_claude_name
from translators.translation_warning import TranslationWarning
from translators.turn_types import AssistantTurn, Call, ResultTurn, SystemTurn, Turn, UserTurn

__all__ = ["translate_messages"]


def translate_messages(
    messages: Sequence[Message], declared: DeclaredTools, cache_control: Mapping[str, Any]
) -> tuple[list[Turn], tuple[TranslationWarning, ...]]:
    """Translate the messages of a request, one turn each, in their order.

    Args:
        messages: of the request.
        declared: its tools: calls of custom and wrapped tools are written as Claude made them.
        cache_control: what an explicit `prompt_cache_breakpoint` becomes.

    Raises:
        OpenAIError: 400 for content that Claude cannot have.
    """
    translation = _Translation(declared, cache_control)
    turns = [translation.translate(message, index) for index, message in enumerate(messages)]
    return turns, tuple(dict.fromkeys(translation.warnings))


@dataclass(slots=True)
class _Translation:
    declared: DeclaredTools
    cache_control: Mapping[str, Any]
    warnings: list[TranslationWarning] = field(default_factory=list)
    function_calls: list[tuple[str, str]] = field(default_factory=list)
    """Id and name of each legacy function call that has no result yet."""
    functions_called: int = 0

    def translate(self, message: Message, index: int) -> Turn:
        match message:
            case UserMessage(content=str(text), name=None):
                return UserTurn(text_blocks(text))
            case UserMessage():
                return UserTurn(self._named(message.name, self._blocks(message.content, index)))
            case AssistantMessage():
                return self._translate_assistant(message, index)
            case SystemMessage() | DeveloperMessage():
                return SystemTurn(self._named(message.name, self._text_only(message.content, index, "text")))
            case ToolMessage():
                return self._translate_result(message.tool_call_id, message.content, index)
            case FunctionMessage():
                return self._translate_result(self._function_call_id(message.name), message.content, index)

    def _translate_assistant(self, message: AssistantMessage, index: int) -> AssistantTurn:
        blocks = self._text_only(message.content, index, "text", "refusal")
        if message.refusal:
            refusal = text_block(message.refusal)
            blocks = (*blocks, refusal) if refusal is not None else blocks
        if message.audio is not None:
            self.warnings.append(TranslationWarning("messages.audio", "ignored", "an earlier spoken answer"))
        if message.name is not None:
            self.warnings.append(TranslationWarning("messages.name", "ignored", "of an assistant: it would copy it"))
        if not message.tool_calls and message.function_call is None:
            return AssistantTurn(blocks)
        calls = [self._translate_call(call) for call in message.tool_calls or ()]
        if message.function_call is not None:
            self.functions_called += 1
            call_id = f"function_call_{self.functions_called}"
            self.function_calls.append((call_id, message.function_call.name))
            calls.append(self._call(call_id, message.function_call))
        return AssistantTurn(blocks, tuple(calls))

    def _translate_call(self, call: FunctionToolCall | CustomToolCall) -> Call:
        if isinstance(call, FunctionToolCall):
            return self._call(call.id, call.function)
        return Call(call.id, to_claude_name(call.custom.name), {"input": call.custom.input})

    def _call(self, call_id: str, function: FunctionCall) -> Call:
        wrapped = function.name in self.declared.wrapped
        return Call(call_id, to_claude_name(function.name), parse_arguments(function.arguments, wrapped=wrapped))

    def _function_call_id(self, name: str) -> str:
        """Find the open call of that name that came last; without one, return an id that no call has."""
        for index in range(len(self.function_calls) - 1, -1, -1):
            if self.function_calls[index][1] == name:
                return self.function_calls.pop(index)[0]
        return f"function {name}"

    def _translate_result(self, call_id: str, content: str | list[Any] | None, index: int) -> ResultTurn:
        blocks = self._blocks(content, index)
        # Claude takes a breakpoint on the result itself.
        if not [block for block in blocks if "cache_control" in block]:
            return ResultTurn(call_id, blocks)
        plain = tuple({key: value for key, value in block.items() if key != "cache_control"} for block in blocks)
        return ResultTurn(call_id, plain, self.cache_control)

    def _named(self, name: str | None, blocks: tuple[Block, ...]) -> tuple[Block, ...]:
        if not name or not blocks:
            return blocks
        self.warnings.append(TranslationWarning("messages.name", "emulated", "said in a line before the message"))
        return ({"type": "text", "text": f"From {name}:"}, *blocks)

    def _text_only(self, content: str | list[Any] | None, index: int, *types: str) -> tuple[Block, ...]:
        """Content of a role that has text only; other parts are refused, as OpenAI does."""
        if isinstance(content, str):
            return text_blocks(content)
        for place, part in enumerate(content or ()):
            if not isinstance(part, (TextPart, RefusalPart)):
                supported = " and ".join(f"'{name}'" for name in types)
                raise OpenAIError(
                    400,
                    f"Invalid value: '{part.__struct_config__.tag}'. Supported values are: {supported}.",
                    code="invalid_value",
                    param=f"messages[{index}].content[{place}].type",
                )
        return self._blocks(content, index)

    def _blocks(self, content: str | list[Any] | None, index: int) -> tuple[Block, ...]:
        """Translate the content of the message at the index."""
        if isinstance(content, str):
            return text_blocks(content)
        blocks: list[Block] = []
        for place, part in enumerate(content or ()):
            block = self._translate_part(part, f"messages[{index}].content[{place}]")
            if block is not None:
                blocks.append(block)
            # A mark on blank text, which has no block, ends the cached prefix at the block before.
            if blocks and getattr(part, "prompt_cache_breakpoint", None) is not None:
                blocks[-1] = {**blocks[-1], "cache_control": dict(self.cache_control)}
        return tuple(blocks)

    def _translate_part(self, part: ContentPart, param: str) -> Block | None:
        match part:
            case TextPart():
                return text_block(part.text)
            case RefusalPart():
                return text_block(part.refusal)
            case ImagePart():
                if part.image_url.detail not in (None, "auto"):
                    self.warnings.append(TranslationWarning("messages.content.image_url.detail", "ignored"))
                return translate_image(part.image_url.url, f"{param}.image_url.url")
            case FilePart():
                file = part.file
                return translate_file(file.file_data, file.file_id, file.filename, f"{param}.file")
            case InputAudioPart():
                return refuse_audio(param)
