"""The Anthropic SDK on the same port: Claude's own API, forwarded as it is."""

import base64
import os
from typing import Any

import anthropic
from features import ASK, PDF, PNG, feature, raised, rate_limited_once, run_features, stalled
from pydantic import BaseModel

MODEL = "claude-sonnet-5-5"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: Any = [{"name": name, "description": name, "input_schema": SCHEMA} for name in ("get_weather", "get_time")]

ORIGIN = os.environ["OPENAI_BASE_URL"].removesuffix("/v1")
client = anthropic.Anthropic(base_url=ORIGIN, api_key=os.environ["OPENAI_API_KEY"], max_retries=0, timeout=20)


class Person(BaseModel):
    name: str
    age: int


def user(content: Any) -> Any:
    return {"role": "user", "content": content}


def create(content: Any, **options: Any) -> Any:
    return client.messages.create(model=MODEL, max_tokens=2000, messages=[user(content)], **options)


@feature("messages: text")
def text() -> None:
    message = create("Hello.", system="Be brief.")
    assert "Hello." in message.content[-1].text, message
    assert message.stop_reason == "end_turn", message
    assert message.usage.output_tokens > 0


@feature("messages: stream")
def stream() -> None:
    with client.messages.stream(model=MODEL, max_tokens=2000, messages=[user("Hello.")]) as made:
        deltas = list(made.text_stream)
        assert "".join(deltas) == made.get_final_text()


@feature("messages: async stream")
async def async_stream() -> None:
    async with (
        anthropic.AsyncAnthropic(base_url=ORIGIN, api_key="unused", max_retries=0) as asynchronous,
        asynchronous.messages.stream(model=MODEL, max_tokens=2000, messages=[user("Hello.")]) as made,
    ):
        assert "Hello." in "".join([delta async for delta in made.text_stream])


@feature("messages: tools over three turns")
def tools() -> None:
    messages: list[Any] = []
    for _ in range(3):
        messages.append(user(ASK))
        message = client.messages.create(model=MODEL, max_tokens=2000, messages=messages, tools=TOOLS)
        assert message.stop_reason == "tool_use", message
        messages.append({"role": "assistant", "content": message.content})
        calls = [block for block in message.content if block.type == "tool_use"]
        messages.append(user([{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"} for call in calls]))
        message = client.messages.create(model=MODEL, max_tokens=2000, messages=messages, tools=TOOLS)
        assert "sunny" in message.content[-1].text, message
        messages.append({"role": "assistant", "content": message.content})


@feature("messages: parallel tools")
def parallel() -> None:
    asked = [user("Use get_weather and get_time for Paris.")]
    with client.messages.stream(model=MODEL, max_tokens=2000, messages=asked, tools=TOOLS) as made:
        calls = [block for block in made.get_final_message().content if block.type == "tool_use"]
    assert [call.name for call in calls] == ["get_weather", "get_time"], calls


@feature("messages: structured output")
def structured() -> None:
    made = client.messages.parse(model=MODEL, max_tokens=2000, messages=[user("Ada, 36.")], output_format=Person)
    assert isinstance(made.parsed_output, Person), made


def show(kind: str, media_type: str, data: bytes) -> str:
    source = {"type": "base64", "media_type": media_type, "data": base64.b64encode(data).decode()}
    return str(create([{"type": "text", "text": "Look."}, {"type": kind, "source": source}]).content[-1].text)


@feature("messages: image")
def image() -> None:
    answer = show("image", "image/png", PNG)
    assert "sent an image" in answer, answer


@feature("messages: PDF")
def pdf() -> None:
    answer = show("document", "application/pdf", PDF)
    assert "sent a document" in answer, answer


@feature("messages: count_tokens")
def count_tokens() -> None:
    counted = client.messages.count_tokens(model=MODEL, messages=[user("Hello.")], tools=TOOLS)
    assert counted.input_tokens > 0, counted


@feature("models: list, retrieve")
def models() -> None:
    listed = [model.id for model in client.models.list()]
    assert MODEL in listed, listed
    assert client.models.retrieve(MODEL).id == MODEL


@feature("messages: errors")
def errors() -> None:
    error = raised(anthropic.BadRequestError, lambda: create([]))
    assert error.type == "invalid_request_error", error
    assert error.request_id, error
    raised(
        anthropic.NotFoundError, lambda: client.messages.create(model="claude-0", max_tokens=9, messages=[user("Hi")])
    )


@feature("messages: rate limit, and retry")
def retry() -> None:
    text = rate_limited_once()
    message = client.with_options(max_retries=2).messages.create(model=MODEL, max_tokens=2000, messages=[user(text)])
    assert "Hello." in message.content[-1].text, message


@feature("messages: a stream is left")
def left() -> None:
    with client.messages.stream(model=MODEL, max_tokens=2000, messages=[user(stalled())]) as made:
        assert next(made.text_stream)


run_features()
