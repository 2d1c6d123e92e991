"""The turns of a conversation in Claude's order: alternating, results first, instructions where Claude obeys them.

The rules, all so that a longer history begins with the bytes of a shorter one:
- Instructions before everything else are `system`, one block each. Later ones are never moved there: they would change
  the prefix. They become entries of role `system` where the model obeys them and the place is legal (after a user
  turn), else tagged text at the end of the user turn.
- Messages of one side become one message. Results come first, one for each call of the turn before, the last of doubles
  wins; a missing one is reported to Claude as an error, and one without a call becomes user text.
- The blocks that Claude sent with a tool call are put back as they were, thinking and signatures included, if the
  client still shows the same call; an answer that it shows in parts is one again.

Sources: https://platform.claude.com/docs/en/agents-and-tools/tool-use/handle-tool-calls,
.../build-with-claude/mid-conversation-system-messages, .../build-with-claude/preserved-thinking.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from translators.content import Block
from translators.model_catalog import ModelCapabilities
from translators.preserved_thinking import holds_thinking, is_thinking, thinking_key
from translators.split_answers import gather_answers, join_parts
from translators.tools import to_claude_id
from translators.translation_warning import TranslationWarning
from translators.turn_types import AssistantTurn, Call, Recall, ResultTurn, SystemTurn, Turn, UserTurn

__all__ = ["Conversation", "arrange_turns", "is_in_tool_loop_without_thinking"]

_OPENING = "Please respond."
"""The user's turn where the client sends instructions only: Claude needs one."""
_EMPTY_TURN = "(no text)"
"""A user's turn without any text. It is kept, because the turns around it must not grow together."""
_CONTINUE = "Continue from where your previous message ends."
"""The user's turn after a last message of the assistant, for models that do not continue one."""
_LOST_RESULT = "This call has no result: the conversation was cut."


class Conversation(Struct, frozen=True):
    """Claude's `system` and `messages`."""

    system: tuple[Block, ...]
    messages: tuple[dict[str, Any], ...]
    replays_thinking: bool = False
    """Whether a message holds thinking of an earlier turn, which Claude may refuse."""
    in_tool_loop_without_thinking: bool = False
    """Whether the last message answers tool calls whose thinking is lost: a thinking budget would be refused."""
    called: tuple[str, ...] = ()
    """Claude's names of the tools that the history calls, in order, each once."""
    warnings: tuple[TranslationWarning, ...] = ()


def arrange_turns(
    turns: Iterable[Turn],
    capabilities: ModelCapabilities,
    recall: Recall,
    *,
    may_prefill: bool = False,
) -> Conversation:
    """Arrange the turns as Claude's messages.

    Args:
        turns: in the client's order; blank text has no blocks.
        capabilities: of the model that answers.
        recall: finds, by the client's id of a tool call, the content blocks of the answer that made it, as Claude
            sent them.
        may_prefill: thinking is off and no output format is set, so that the assistant's last message may be continued.
    """
    recall = _recalling_once(recall)  # each answer is asked for more than once
    everything = gather_answers(turns, recall)
    head = 0
    while head < len(everything) and isinstance(everything[head], SystemTurn):
        head += 1
    system = tuple(block for turn in everything[:head] for block in turn.blocks)
    arranging = _Arranging(capabilities, recall)
    answers: list[AssistantTurn] = []
    others: list[Turn] = []
    for turn in everything[head:]:
        if not isinstance(turn, AssistantTurn):
            if answers:
                arranging.add_assistant(answers)
                answers = []
            others.append(turn)
        # Empty turns of the other side are kept: without them the turns around them would grow together.
        elif turn.blocks or turn.calls:
            if others:
                arranging.add_user(others)
                others = []
            answers.append(turn)
    if answers:
        arranging.add_assistant(answers)
    if others:
        arranging.add_user(others)
    return arranging.finish(system, may_prefill=may_prefill and capabilities.prefill)


def _recalling_once(recall: Recall) -> Recall:
    # `functools.cache` would do, and costs more to make than a short conversation to arrange.
    recalled: dict[str, Sequence[Mapping[str, Any]] | None] = {}

    def recall_once(client_id: str) -> Sequence[Mapping[str, Any]] | None:
        if client_id not in recalled:
            recalled[client_id] = recall(client_id)
        return recalled[client_id]

    return recall_once


@dataclass(slots=True)
class _Pending:
    """A call that waits for its result."""

    client_id: str
    claude_id: str


@dataclass(slots=True)
class _Arranging:
    capabilities: ModelCapabilities
    recall: Recall
    messages: list[dict[str, Any]] = field(default_factory=list)
    pending: list[_Pending] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)
    called: dict[str, None] = field(default_factory=dict)
    warnings: list[TranslationWarning] = field(default_factory=list)
    put_back: set[str] = field(default_factory=set)
    """The thinking that stands in its place already, by `thinking_key`: a part of its answer may come later."""

    def add_assistant(self, turns: list[AssistantTurn]) -> None:
        if not self.messages:
            self.messages.append(_user([_text(_OPENING)]))
            self._warn("messages", "emulated", "Claude's conversations begin with the user: a turn was put first")
        content: list[Block] = []
        for turn in join_parts(turns, self.recall):
            if not turn.calls:
                content.extend(turn.blocks)
                continue
            calls = [self._add_call(call) for call in turn.calls]
            content.extend(self._restore(turn, calls))
        self.messages.append({"role": "assistant", "content": content})

    def _add_call(self, call: Call) -> Call:
        """Let a call wait for its result; return it with its id for Claude."""
        new = replace(call, id=self._new_id(call.id))
        self.pending.append(_Pending(call.id, new.id))
        self.called[new.name] = None
        return new

    def add_user(self, turns: list[Turn]) -> None:
        match turns:
            case [UserTurn(blocks)] if blocks and not self.pending:
                self.messages.append({"role": "user", "content": list(blocks)})
            case _:
                self._add_mixed(turns)

    def _add_mixed(self, turns: list[Turn]) -> None:
        """Add what may hold results and later instructions beside the user's words."""
        last_word = max([index for index, turn in enumerate(turns) if _speaks(turn)], default=-1)
        has_word = last_word >= 0
        results, orphans = self._take_results(turns)
        content: list[Block] = list(results)
        tagged: list[Block] = []
        native: list[Block] = []
        obeys = self.capabilities.mid_conversation_system == "native" and not self.capabilities.tagged_system_better
        for index, turn in enumerate(turns):
            match turn:
                case SystemTurn() if obeys and has_word and index > last_word:
                    native.extend(turn.blocks)
                case SystemTurn():
                    tagged.extend(map(_tag, turn.blocks))
                case ResultTurn() if index in orphans:
                    content.extend(_orphan(turn))
                case UserTurn():
                    content.extend(turn.blocks)
        if tagged:
            self._warn("messages.role", "emulated", "a later system message is tagged text in the user's turn")
        content.extend(tagged)
        if not content:
            content = [_text(_EMPTY_TURN)]
            self._warn("messages.content", "emulated", "an empty user turn got a placeholder")
        self.messages.append(_user(content))
        if native:
            self.messages.append({"role": "system", "content": native})

    def finish(self, system: tuple[Block, ...], *, may_prefill: bool) -> Conversation:
        if self.pending:
            results, _ = self._take_results([])
            self.messages.append(_user(results))
        if not self.messages:
            self.messages.append(_user([_text(_OPENING)]))
            self._warn("messages", "emulated", "a conversation of instructions only got a user's turn")
        elif self.messages[-1]["role"] == "assistant":
            self._end_with_assistant(may_prefill=may_prefill)
        return Conversation(
            system=system,
            messages=tuple(self.messages),
            replays_thinking=holds_thinking(self.messages),
            in_tool_loop_without_thinking=is_in_tool_loop_without_thinking(self.messages),
            called=tuple(self.called),
            warnings=tuple(dict.fromkeys(self.warnings)),
        )

    def _end_with_assistant(self, *, may_prefill: bool) -> None:
        if not may_prefill:
            self.messages.append(_user([_text(_CONTINUE)]))
            self._warn("messages", "emulated", "this model does not continue its own message: a user's turn asks it to")
            return
        # Claude refuses a last text that ends with white space.
        *content, last = self.messages[-1]["content"]
        if last["type"] == "text":
            last = {**last, "text": last["text"].rstrip()}
        self.messages[-1] = {"role": "assistant", "content": [*content, last]}

    def _new_id(self, client_id: str) -> str:
        """Claude wants every id once; some clients count their calls anew in each turn."""
        claude_id = to_claude_id(client_id)
        times = self.ids.get(claude_id, 0) + 1
        new_id = claude_id if times == 1 else to_claude_id(f"{claude_id}_{times}")
        while new_id in self.ids:  # the client has an id of its own that looks like it
            times += 1
            new_id = to_claude_id(f"{claude_id}_{times}")
        self.ids[claude_id] = times
        self.ids.setdefault(new_id, 1)
        return new_id

    def _take_results(self, turns: list[Turn]) -> tuple[list[Block], set[int]]:
        """Answer the waiting calls; return the result blocks, and the indexes of results that answer none."""
        waiting = self.pending
        self.pending = []
        answers: dict[str, ResultTurn] = {}
        orphans: set[int] = set()
        for index, turn in enumerate(turns):
            if not isinstance(turn, ResultTurn):
                continue
            claude_ids = [call.claude_id for call in waiting if call.client_id == turn.id]
            if not claude_ids:
                orphans.add(index)
                self._warn("messages.tool_call_id", "degraded", "a result without its call became text of the user")
                continue
            unanswered = [claude_id for claude_id in claude_ids if claude_id not in answers]
            if not unanswered:
                self._warn("messages.tool_call_id", "changed", "of several results of one call the last is sent")
            answers[unanswered[0] if unanswered else claude_ids[-1]] = turn
        blocks = [_result(claude_id, turn) for claude_id, turn in answers.items()]
        for call in waiting:
            if call.claude_id not in answers:
                blocks.append(
                    {
                        "type": "tool_result",
                        "tool_use_id": call.claude_id,
                        "content": [_text(_LOST_RESULT)],
                        "is_error": True,
                    }
                )
                self._warn("messages.tool_calls", "emulated", "a call without a result got one that says so")
        return blocks, orphans

    def _restore(self, turn: AssistantTurn, calls: list[Call]) -> list[Block]:
        """Return the turn's blocks: as Claude sent them if the client shows the same text and calls, else made anew."""
        anew: list[Block] = [
            *turn.blocks,
            *[{"type": "tool_use", "id": call.id, "name": call.name, "input": dict(call.input)} for call in calls],
        ]
        stored = self.recall(turn.calls[0].id)
        if stored is None:
            return anew
        blocks = [dict(block) for block in stored if _may_return(block) and not self._is_put_back(block)]
        if _shows_same(turn, calls, blocks):
            restored = blocks
        elif {call.id for call in calls} <= {block["id"] for block in blocks if block["type"] == "tool_use"}:
            # Text or arguments were edited. The thinking before them is still what came first.
            border = next((index for index, block in enumerate(blocks) if not is_thinking(block)), len(blocks))
            restored = [*blocks[:border], *anew]
        else:
            restored = anew
        self.put_back.update(thinking_key(block) for block in restored if is_thinking(block))
        return restored

    def _is_put_back(self, block: Mapping[str, Any]) -> bool:
        return is_thinking(block) and thinking_key(block) in self.put_back

    def _warn(self, param: str, action: Any, detail: str) -> None:
        self.warnings.append(TranslationWarning(param, action, detail))


def _speaks(turn: Turn) -> bool:
    """Whether the turn puts a block into the user's message."""
    return isinstance(turn, ResultTurn) or (isinstance(turn, UserTurn) and bool(turn.blocks))


def _shows_same(turn: AssistantTurn, calls: list[Call], blocks: list[Block]) -> bool:
    """Whether the client's turn is the stored one. Some clients drop the text beside tool calls: that is no edit."""
    stored = [(block["id"], block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"]
    if stored != [(call.id, call.name, call.input) for call in calls]:
        return False
    text = "".join(block["text"] for block in turn.blocks)
    return not text or text.strip() == "".join(block["text"] for block in blocks if block["type"] == "text").strip()


def _may_return(block: Mapping[str, Any]) -> bool:
    """Claude refuses blank text, and thinking without its signature (a stream that was cut)."""
    match block["type"]:
        case "text":
            return bool(block["text"].strip())
        case "thinking":
            return bool(block.get("signature"))
        case _:
            return True


def is_in_tool_loop_without_thinking(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the last message answers tool calls whose thinking is lost: a thinking budget would be refused."""
    spoken = [message for message in messages[-3:] if message["role"] != "system"][-2:]
    if len(spoken) < 2 or spoken[1]["content"][0]["type"] != "tool_result":
        return False
    return not is_thinking(spoken[0]["content"][0])


def _user(content: list[Block]) -> dict[str, Any]:
    return {"role": "user", "content": content}


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def _tag(block: Block) -> Block:
    return {**block, "text": f"<system>\n{block['text']}\n</system>"}


def _result(claude_id: str, turn: ResultTurn) -> Block:
    block: Block = {"type": "tool_result", "tool_use_id": claude_id}
    if turn.blocks:
        block["content"] = list(turn.blocks)
    if turn.cache_control is not None:
        block["cache_control"] = dict(turn.cache_control)
    return block


def _orphan(turn: ResultTurn) -> list[Block]:
    return [_text(f"Result of the tool call {turn.id}, which is no longer in this conversation:"), *turn.blocks]
