"""Structured output: the `.parse()` helper with a pydantic model, JSON schemas by hand, and plain JSON objects."""

import enum
import json
from typing import Any

import pydantic
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.contract.simulated_upstream import SimulatedUpstream, simulate


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


class Step(pydantic.BaseModel):
    explanation: str
    output: str


class Solution(pydantic.BaseModel):
    """A way to an answer."""

    steps: list[Step]
    final_answer: str
    colour: Colour
    confidence: float | None
    count: int = pydantic.Field(ge=0, le=10)


QUESTION: Any = [{"role": "user", "content": "Solve it."}]
SCHEMA: Any = {
    "type": "json_schema",
    "json_schema": {
        "name": "answer",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"word": {"type": "string"}, "number": {"type": "integer"}},
            "required": ["word", "number"],
            "additionalProperties": False,
        },
    },
}
JSON_OBJECT: Any = {"type": "json_object"}


def test_T14_the_parse_helper_reads_a_pydantic_model(client: OpenAI, claude: SimulatedUpstream) -> None:
    completion = client.chat.completions.parse(model="gpt-4o", messages=QUESTION, response_format=Solution)
    [choice] = completion.choices
    assert isinstance(choice.message.parsed, Solution)
    assert choice.finish_reason == "stop"
    assert claude.last["output_config"]["format"]["type"] == "json_schema"


async def test_the_async_parse_helper_reads_it_too(async_client: AsyncOpenAI) -> None:
    completion = await async_client.chat.completions.parse(model="gpt-4o", messages=QUESTION, response_format=Solution)
    assert isinstance(completion.choices[0].message.parsed, Solution)


def test_the_stream_helper_reads_a_pydantic_model(client: OpenAI) -> None:
    with client.chat.completions.stream(model="gpt-4o", messages=QUESTION, response_format=Solution) as stream:
        events = list(stream)
        final = stream.get_final_completion()
    assert isinstance(final.choices[0].message.parsed, Solution)
    [done] = [event for event in events if event.type == "content.done"]
    assert done.parsed == final.choices[0].message.parsed


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_T17_a_json_schema_by_hand_is_kept_to(client: OpenAI, claude: SimulatedUpstream, stream: bool) -> None:
    text, finish_reason = text_of(client, stream, messages=QUESTION, response_format=SCHEMA)
    answer = json.loads(text)
    assert answer.keys() == {"word", "number"}
    assert isinstance(answer["number"], int)
    assert finish_reason == "stop"
    assert claude.last["output_config"]["format"]["schema"]["required"] == ["word", "number"]


def test_T13_what_claude_cannot_compile_is_said_in_words(client: OpenAI, claude: SimulatedUpstream) -> None:
    class Limited(pydantic.BaseModel):
        count: int = pydantic.Field(ge=3, le=5, description="How many.")
        name: str = pydantic.Field(pattern="^[a-z]+$", max_length=8)

    raw = client.chat.completions.with_raw_response.parse(model="gpt-4o", messages=QUESTION, response_format=Limited)
    schema = claude.last["output_config"]["format"]["schema"]
    assert "minimum" not in schema["properties"]["count"]
    assert "maxLength" not in schema["properties"]["name"]
    assert "How many." in schema["properties"]["count"]["description"]
    assert "response_format=degraded" in raw.headers["x-claude-proxy-warnings"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_T16_a_json_object_is_pure_json_without_its_fence(
    client: OpenAI, claude: SimulatedUpstream, stream: bool
) -> None:
    fenced = simulate("Reply in JSON.", text='```json\n{"word": "```", "number": 3}\n```')
    messages = [{"role": "user", "content": fenced}]
    text, finish_reason = text_of(client, stream, messages=messages, response_format=JSON_OBJECT)
    assert json.loads(text) == {"word": "```", "number": 3}
    assert finish_reason == "stop"
    assert any("JSON" in block["text"] for block in claude.last["system"])


def test_a_refusal_of_a_structured_answer_is_read_by_the_parse_helper(client: OpenAI) -> None:
    refused = simulate(
        content=[], stop_reason="refusal", stop_details={"type": "refusal", "explanation": "I must not."}
    )
    messages: Any = [{"role": "user", "content": refused}]
    message = (
        client.chat.completions.parse(model="gpt-4o", messages=messages, response_format=Solution).choices[0].message
    )
    assert message.parsed is None
    assert message.refusal == "I must not."
    with client.chat.completions.stream(model="gpt-4o", messages=messages, response_format=Solution) as stream:
        final = stream.get_final_completion().choices[0].message
    assert final.refusal == "I must not."
    assert final.parsed is None


def text_of(client: OpenAI, stream: bool, **request: Any) -> tuple[str, str | None]:
    answer: Any = client.chat.completions.create(model="gpt-4o", stream=stream, **request)
    if not stream:
        return answer.choices[0].message.content, answer.choices[0].finish_reason
    chunks = list(answer)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks), chunks[-1].choices[0].finish_reason
