"""The response that a client reads out of the translation of Claude's events."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from openai._models import construct_type_unchecked
from openai._types import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response as OpenAIResponse
from openai.types.responses import ResponseStreamEvent as OpenAIEvent
from pydantic import TypeAdapter

from tests.translators.claude_messages import Events
from tests.translators.responses.checker import check_stream
from translators.claude_events import parse_event
from translators.responses.reasoning_envelope import open_compaction, open_envelope
from translators.responses.reply_plan import ResponsesPlan, ToolIdentity
from translators.responses.response import build_response, encode_response
from translators.responses.response_events import ResponseEvent, encode_event
from translators.responses.stream import ResponsesStream

RESPONSE_ID = "resp_" + "0123456789" * 5
CREATED_AT = 1_795_000_000
COMPLETED_AT = CREATED_AT + 3
KEY = b"secret of the tests"
OPENAI_EVENTS: TypeAdapter[Any] = TypeAdapter(OpenAIEvent)
NOT_IN_THE_UNION = ("response.apply_patch_call_operation_diff.", "error")
"""Types of events that the wire has and the `openai` package has not, or has in another form."""


def plan_for(events: Events, **fields: Any) -> ResponsesPlan:
    """A plan that declares a function for every tool that the events call."""
    blocks = [event["content_block"] for event in events if "content_block" in event]
    blocks += [block for event in events if event.get("message") for block in event["message"].get("content") or ()]
    names = [block["name"] for block in blocks if block["type"] == "tool_use"]
    tools = {name: ToolIdentity("function", name) for name in names if name}
    return ResponsesPlan(**{"model": "gpt-5.5", "claude_model": "claude-opus-5-5", "tools": tools, **fields})


def decode(sse: bytes) -> dict[str, Any]:
    """Decode one SSE event, whose name has to be its type."""
    name, data, *rest = sse.decode().split("\n")
    assert rest == ["", ""]
    event: dict[str, Any] = json.loads(data.removeprefix("data: "))
    assert name == f"event: {event['type']}"
    return event


@dataclass
class Answer:
    """What came of a sequence of events: as a stream, and whole."""

    stream: ResponsesStream
    events: list[dict[str, Any]]
    whole: dict[str, Any]

    @property
    def output(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.whole["output"]
        return items

    @property
    def types(self) -> list[str]:
        return [item["type"] for item in self.output]

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [item for item in self.output if item["type"] == kind]

    @property
    def text(self) -> str:
        """All of the text, as the `openai` package's `output_text` gives it."""
        parts = [part for item in self.of_type("message") for part in item["content"]]
        return "".join(part["text"] for part in parts if part["type"] == "output_text")

    @property
    def refusals(self) -> list[str]:
        parts = [part for item in self.of_type("message") for part in item["content"]]
        return [part["refusal"] for part in parts if part["type"] == "refusal"]

    def said(self, kind: str) -> list[str]:
        """The deltas of one type of event."""
        return [event["delta"] for event in self.events if event["type"] == kind]

    @property
    def sealed(self) -> list[dict[str, Any]]:
        """The blocks of all reasoning items, opened."""
        blocks: list[dict[str, Any]] = []
        for item in self.of_type("reasoning"):
            envelope = open_envelope(item["encrypted_content"], KEY)
            assert envelope is not None
            blocks += envelope.blocks
        return blocks

    @property
    def compaction(self) -> str:
        (item,) = self.output
        opened = open_compaction(item["encrypted_content"], KEY)
        assert opened is not None
        return opened.summary


def assert_openai_accepts(events: Sequence[dict[str, Any]], *, raises: bool = False) -> None:
    """Read the stream as the `openai` package does: strict types, and its accumulating helper."""
    state: ResponseStreamState[None] = ResponseStreamState(input_tools=omit, text_format=omit)
    for event in events:
        if not event["type"].startswith(NOT_IN_THE_UNION):
            OPENAI_EVENTS.validate_python(event, strict=True)
            OPENAI_EVENTS.validate_json(json.dumps(event), strict=True)
        state.handle_event(construct_type_unchecked(type_=OpenAIEvent, value=event))
    if events[-1]["type"] == "response.completed":
        assert state._completed_response is not None
        gathered = state._completed_response.to_dict(exclude_unset=True)
        assert [item["id"] for item in gathered["output"]] == [item["id"] for item in events[-1]["response"]["output"]]
    OpenAIResponse.model_validate(events[-1]["response"], strict=True)


def translate(stream: ResponsesStream, events: Events) -> list[ResponseEvent]:
    """Feed Claude's events to a stream."""
    translated = []
    for event in events:
        parsed = parse_event(json.dumps(event).encode())
        if parsed is not None:
            translated += stream.translate(parsed)
    return translated


def read_answer(segments: Sequence[Events], plan: ResponsesPlan | None = None) -> Answer:
    """Translate the events of one answer; several segments are a paused turn with its continuations."""
    plan = plan or plan_for([event for events in segments for event in events])
    stream = ResponsesStream(plan, RESPONSE_ID, CREATED_AT, KEY)
    events = stream.start()
    for number, segment in enumerate(segments):
        if number:
            stream.resume()
        events += translate(stream, segment)
    events += stream.finish(COMPLETED_AT)
    decoded = [decode(encode_event(event)) for event in events]
    final = check_stream(decoded)
    assert_openai_accepts(decoded)
    whole = json.loads(encode_response(build_response(events)))
    assert whole == final
    return Answer(stream, decoded, whole)


@pytest.fixture(scope="session")
def read() -> Callable[..., Answer]:
    """Translates one message, or the segments of a paused one; the checker and the `openai` package judge it."""

    def read(*segments: Events, plan: ResponsesPlan | None = None) -> Answer:
        return read_answer(segments, plan)

    return read
