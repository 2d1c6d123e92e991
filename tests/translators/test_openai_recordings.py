"""OpenAI's own recorded answers as the judge of those that are made here of Claude's.

Of each place in an answer the recordings say what can be there, and which fields an object always has there. Every
recorded stream of Claude is translated and held to that.
"""

import contextlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.translators.chat_completions.conftest import read_answer as read_chat_completion
from tests.translators.recordings import STREAMS, events_of, recorded
from tests.translators.responses.conftest import plan_for
from tests.translators.responses.conftest import read_answer as read_response
from translators.chat_completions.reply_plan import ReplyPlan

OPENAI = ("api.openai.com", "", None)
"""Hosts of the recordings that are OpenAI's own: some name none."""
NOT_RECORDED = (
    "reasoning_content",  # OpenAI shows no thinking; clients read it of other hosts
    "chunk.choices[].delta.annotations",
    "completion.choices[].message.annotations[url_citation]",
    "response.refusal.",
    "[refusal]",
    "response.output_item.added.item[web_search_call].action[open_page]",  # once it is done, it is
)
"""Parts of paths to what is sent here, and no recording of OpenAI has."""
CLIENTS_OWN = ("parameters", "schema", "metadata")
PADDING = "obfuscation"
KINDS = {bool: "boolean", int: "number", float: "number", str: "text", list: "array", dict: "object"}


@dataclass
class Shape:
    """What is seen in answers, by the path to it. An object with a `type` has a path of its own for each."""

    kinds: dict[str, set[str]] = field(default_factory=dict)
    always: dict[str, set[str]] = field(default_factory=dict)
    """The fields that every object has."""

    def note(self, path: str, value: Any) -> None:
        self.kinds.setdefault(path, set()).add(KINDS.get(type(value), "null"))
        if isinstance(value, dict):
            self.always[path] = self.always.get(path, set(value)) & set(value) - {PADDING}
            for name, member in value.items():
                if name not in CLIENTS_OWN:
                    self.note(f"{path}.{name}{type_of(member)}", member)
        elif isinstance(value, list):
            for member in value:
                self.note(f"{path}{type_of(member) or '[]'}", member)


def type_of(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else None
    return f"[{kind}]" if isinstance(kind, str) else ""


def shape_of(values: Iterable[tuple[str, Any]]) -> Shape:
    shape = Shape()
    for path, value in values:
        shape.note(path, value)
    return shape


def chat_values(chunks: Iterable[dict[str, Any]], completion: Any) -> Iterator[tuple[str, Any]]:
    """Name the values of an answer; the usage of chunks is that of whole answers."""
    for chunk in chunks:
        yield "chunk", {name: value for name, value in chunk.items() if name != "usage"}
        yield "usage", chunk.get("usage")
    if isinstance(completion, dict) and completion.get("object") == "chat.completion":
        yield "completion", {name: value for name, value in completion.items() if name != "usage"}
        yield "usage", completion.get("usage")


def response_values(events: Iterable[dict[str, Any]], response: Any) -> Iterator[tuple[str, Any]]:
    """Name the values of an answer; a response is one in whatever event, and whole."""
    for event in events:
        yield event.get("type", ""), {name: value for name, value in event.items() if name != "response"}
        if "response" in event:
            yield "response", event["response"]
    if isinstance(response, dict) and response.get("object") == "response":
        yield "response", response


def answers_of(api: str) -> Iterator[tuple[list[dict[str, Any]], Any]]:
    """Read what OpenAI answered: the events of a stream, or a body."""
    for record in recorded(api):
        response = record["response"] or {}
        if (record["request"] or {}).get("host") in OPENAI and response.get("status") == 200:
            yield list(events_in(response.get("sse_text", ""))), response.get("body")


def events_in(sse_text: str) -> Iterator[dict[str, Any]]:
    for line in sse_text.splitlines():
        with contextlib.suppress(ValueError):  # no data, or broken by what was taken out of the recording
            event = json.loads(line.removeprefix("data:"))
            if isinstance(event, dict):
                yield event


CHAT = shape_of(value for answer in answers_of("openai.chat") for value in chat_values(*answer))
RESPONSES = shape_of(value for answer in answers_of("openai.responses") for value in response_values(*answer))


def assert_like(values: Iterable[tuple[str, Any]], judge: Shape) -> None:
    shape = shape_of(values)
    for path, kinds in shape.kinds.items():
        if not any(part in path for part in NOT_RECORDED):
            assert kinds <= judge.kinds.get(path, set()), path
            assert judge.always.get(path, set()) <= shape.always.get(path, judge.always.get(path, set())), path


@pytest.mark.parametrize("sse_text", STREAMS)
def test_every_recorded_stream_becomes_chunks_as_openai_sends_them(sse_text):
    answer = read_chat_completion([events_of(sse_text)], ReplyPlan("gpt-5.5", include_usage=True))
    assert_like(chat_values(answer.chunks, answer.whole), CHAT)


@pytest.mark.parametrize("sse_text", STREAMS)
def test_every_recorded_stream_becomes_events_as_openai_sends_them(sse_text):
    events = events_of(sse_text)
    answer = read_response([events], plan_for(events, shows_summary=True))
    assert_like(response_values(answer.events, answer.whole), RESPONSES)


ITEM = {"type": "message", "id": "msg_1", "status": "completed"}


@pytest.mark.parametrize(
    ("item", "place"),
    [
        ({**ITEM, "new": 1}, "item[message].new"),
        ({**ITEM, "status": None}, "item[message].status"),
        ({"type": "message", "id": "msg_1"}, "item[message]"),
        ({**ITEM, "type": "new"}, "item[new]"),
    ],
    ids=["another field", "another type", "a field less", "another kind"],
)
def test_what_openai_never_sent_is_found(item, place):
    judge = shape_of([("event", {"item": ITEM, PADDING: "x"})])
    assert_like([("event", {"item": ITEM})], judge)
    with pytest.raises(AssertionError, match=re.escape(place)):
        assert_like([("event", {"item": item})], judge)
