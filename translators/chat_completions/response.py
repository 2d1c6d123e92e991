"""The whole answer, `chat.completion`: the fold of the chunks that a stream would have sent.

So the two cannot differ.

Field order and presence follow recorded answers: `tool_calls` is absent when there are none, `content` is null with a
tool call or a refusal unless text came too.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from translators.chat_completions.chunk import (
    SYSTEM_FINGERPRINT,
    Annotation,
    ChatCompletionChunk,
    ChoiceDelta,
    FinishReason,
    FunctionDelta,
    ToolCallDelta,
    encode_chunk,
)
from translators.chat_completions.reply_plan import ReplyPlan
from translators.usage import CompletionUsage, ServiceTier, sum_usage

__all__ = ["ChatCompletionBuilder", "IncompleteChoiceError", "encode_usage_chunk"]


class IncompleteChoiceError(ValueError):
    """An answer was asked for before its choices had ended."""


class _Function(msgspec.Struct, frozen=True):
    name: str
    arguments: str


class _Custom(msgspec.Struct, frozen=True):
    name: str
    input: str


class _ToolCall(msgspec.Struct, frozen=True):
    id: str
    type: Literal["function", "custom"]
    function: _Function | UnsetType = UNSET
    custom: _Custom | UnsetType = UNSET


class _Message(msgspec.Struct, frozen=True):
    role: Literal["assistant"]
    content: str | None
    reasoning_content: str | UnsetType = UNSET
    tool_calls: list[_ToolCall] | UnsetType = UNSET
    function_call: _Function | UnsetType = UNSET
    refusal: str | None = None
    annotations: list[Annotation] = []


class _Choice(msgspec.Struct, frozen=True):
    index: int
    message: _Message
    logprobs: None
    finish_reason: FinishReason


class _ChatCompletion(msgspec.Struct, frozen=True):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[_Choice]
    usage: CompletionUsage
    service_tier: ServiceTier
    system_fingerprint: str


class _ToolCallFold:
    """The deltas of one tool call."""

    def __init__(self, opening: ToolCallDelta) -> None:
        self._id = opening.id or ""
        self._type = opening.type or "function"
        self._name = ""
        self._pieces: list[str] = []
        self.add(opening)

    def add(self, delta: ToolCallDelta) -> None:
        if delta.function is not UNSET:
            self._name = delta.function.name or self._name
            self._pieces.append(delta.function.arguments or "")
        if delta.custom is not UNSET:
            self._name = delta.custom.name or self._name
            self._pieces.append(delta.custom.input or "")

    def build(self) -> _ToolCall:
        text = "".join(self._pieces)
        if self._type == "custom":
            return _ToolCall(self._id, "custom", custom=_Custom(self._name, text))
        return _ToolCall(self._id, "function", function=_Function(self._name, text))


class _ChoiceFold:
    """The deltas of one choice."""

    def __init__(self) -> None:
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._annotations: list[Annotation] = []
        self._tool_calls: dict[int, _ToolCallFold] = {}
        self._function_call: list[FunctionDelta] = []
        self.finish_reason: FinishReason | None = None

    def add(self, delta: ChoiceDelta) -> None:
        if delta.content is not UNSET:
            self._content.append(delta.content)
        if delta.reasoning_content is not UNSET:
            self._reasoning.append(delta.reasoning_content)
        if delta.refusal is not UNSET and delta.refusal is not None:
            self._refusal.append(delta.refusal)
        if delta.annotations is not UNSET:
            self._annotations += delta.annotations
        if delta.function_call is not UNSET:
            self._function_call.append(delta.function_call)
        if delta.tool_calls is not UNSET:
            for call in delta.tool_calls:
                fold = self._tool_calls.get(call.index)
                if fold is None:
                    self._tool_calls[call.index] = _ToolCallFold(call)
                else:
                    fold.add(call)

    def build(self, index: int) -> _Choice:
        if self.finish_reason is None:
            raise IncompleteChoiceError(f"choice {index} has no finish_reason")
        content = "".join(self._content)
        empty = self._tool_calls or self._function_call or self._refusal
        message = _Message(
            role="assistant",
            content=None if empty and not content else content,
            reasoning_content="".join(self._reasoning) if self._reasoning else UNSET,
            tool_calls=[self._tool_calls[i].build() for i in sorted(self._tool_calls)] if self._tool_calls else UNSET,
            function_call=self._build_function_call(),
            refusal="".join(self._refusal) if self._refusal else None,
            annotations=self._annotations,
        )
        return _Choice(index, message, None, self.finish_reason)

    def _build_function_call(self) -> _Function | UnsetType:
        if not self._function_call:
            return UNSET
        names = [delta.name for delta in self._function_call if delta.name is not UNSET]
        arguments = [delta.arguments for delta in self._function_call if delta.arguments is not UNSET]
        return _Function(names[0] if names else "", "".join(arguments))


class ChatCompletionBuilder:
    """Folds the chunks of an answer, of one choice or of several in any order, into the whole answer."""

    def __init__(self, plan: ReplyPlan, completion_id: str, created: int) -> None:
        self._model = plan.model
        self._id = completion_id
        self._created = created
        self._service_tier: ServiceTier = "default"
        self._choices: dict[int, _ChoiceFold] = {}

    def add(self, chunk: ChatCompletionChunk) -> None:
        """Add a chunk."""
        self._service_tier = chunk.service_tier
        for choice in chunk.choices:
            fold = self._choices.get(choice.index)
            if fold is None:
                fold = self._choices[choice.index] = _ChoiceFold()
            fold.add(choice.delta)
            if choice.finish_reason is not None:
                fold.finish_reason = choice.finish_reason

    def build(self, usages: Iterable[CompletionUsage]) -> bytes:
        """Build the JSON of the answer, with the sum of its choices' usages.

        Raises:
            IncompleteChoiceError: there is no choice, or one has not ended.
        """
        if not self._choices:
            raise IncompleteChoiceError("no chunk was added")
        completion = _ChatCompletion(
            id=self._id,
            object="chat.completion",
            created=self._created,
            model=self._model,
            choices=[self._choices[index].build(index) for index in sorted(self._choices)],
            usage=sum_usage(usages),
            service_tier=self._service_tier,
            system_fingerprint=SYSTEM_FINGERPRINT,
        )
        return msgspec.json.encode(completion)


def encode_usage_chunk(
    plan: ReplyPlan,
    completion_id: str,
    created: int,
    usages: Iterable[CompletionUsage],
    service_tier: ServiceTier = "default",
) -> bytes:
    """Encode the chunk after the last finish reason: no choices, the sum of the usages.

    It is sent only if `stream_options.include_usage` was asked.
    """
    chunk = ChatCompletionChunk(
        completion_id,
        "chat.completion.chunk",
        created,
        plan.model,
        service_tier,
        SYSTEM_FINGERPRINT,
        (),
        sum_usage(usages),
    )
    return encode_chunk(chunk)
