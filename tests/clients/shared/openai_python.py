"""openai-python, in its last three major versions."""

import json
from typing import Any

from features import ASK, PDF_URL, PNG_URL, feature, raised, rate_limited_once, run_features, simulate, stalled
from openai import APIError, AsyncOpenAI, BadRequestError, NotFoundError, OpenAI, RateLimitError
from pydantic import BaseModel

MODEL = "gpt-5"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
FUNCTIONS = [
    {"name": "get_weather", "description": "Weather.", "parameters": SCHEMA, "strict": True},
    {"name": "get_time", "description": "Time.", "parameters": SCHEMA, "strict": True},
]
CHAT_TOOLS: Any = [{"type": "function", "function": function} for function in FUNCTIONS]
RESPONSE_TOOLS: Any = [{"type": "function", **function} for function in FUNCTIONS]

client = OpenAI(max_retries=0, timeout=20)


class Person(BaseModel):
    name: str
    age: int


def user(content: Any) -> Any:
    return {"role": "user", "content": content}


def chat(content: Any, **options: Any) -> Any:
    return client.chat.completions.create(model=MODEL, messages=[user(content)], **options)


@feature("chat: text")
def chat_text() -> None:
    made = chat("Hello.")
    assert "Hello." in made.choices[0].message.content, made
    assert made.choices[0].finish_reason == "stop"
    assert made.usage.total_tokens > 0


@feature("chat: stream")
def chat_stream() -> None:
    chunks = list(chat("Hello.", stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert "Hello." in text, text
    assert chunks[-1].usage.total_tokens > 0, chunks[-1]


@feature("chat: async stream")
async def chat_async_stream() -> None:
    async with AsyncOpenAI(max_retries=0, timeout=20) as asynchronous:
        stream = await asynchronous.chat.completions.create(model=MODEL, messages=[user("Hello.")], stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert "Hello." in text, text


@feature("chat: tools over three turns")
def chat_tools() -> None:
    messages: list[Any] = []
    for _ in range(3):
        messages.append(user(ASK))
        made = client.chat.completions.create(model=MODEL, messages=messages, tools=CHAT_TOOLS)
        assert made.choices[0].finish_reason == "tool_calls", made
        messages.append(made.choices[0].message)
        for call in made.choices[0].message.tool_calls:
            assert json.loads(call.function.arguments)["city"], call
            messages.append({"role": "tool", "tool_call_id": call.id, "content": "sunny"})
        made = client.chat.completions.create(model=MODEL, messages=messages, tools=CHAT_TOOLS)
        assert "sunny" in made.choices[0].message.content, made
        messages.append(made.choices[0].message)


@feature("chat: parallel tools")
def chat_parallel() -> None:
    stream = chat("Use get_weather and get_time for Paris.", tools=CHAT_TOOLS, stream=True)
    arguments: dict[int, str] = {}
    for chunk in stream:
        for call in chunk.choices[0].delta.tool_calls or ():
            arguments[call.index] = arguments.get(call.index, "") + (call.function.arguments or "")
    assert [json.loads(each).keys() for each in arguments.values()] == [{"city"}, {"city"}], arguments


@feature("chat: structured output")
def chat_parse() -> None:
    parse = getattr(client.chat.completions, "parse", None) or client.beta.chat.completions.parse
    made = parse(model=MODEL, messages=[user("Ada, 36.")], response_format=Person)
    assert isinstance(made.choices[0].message.parsed, Person)


@feature("chat: structured output, streamed")
def chat_parse_stream() -> None:
    stream = getattr(client.chat.completions, "stream", None) or client.beta.chat.completions.stream
    with stream(model=MODEL, messages=[user("Ada, 36.")], response_format=Person) as events:
        kinds = {event.type for event in events}
        assert isinstance(events.get_final_completion().choices[0].message.parsed, Person)
    assert "content.delta" in kinds, kinds


@feature("chat: image")
def chat_image() -> None:
    made = chat([{"type": "text", "text": "Look."}, {"type": "image_url", "image_url": {"url": PNG_URL}}])
    assert "sent an image" in made.choices[0].message.content, made


@feature("chat: PDF")
def chat_pdf() -> None:
    file = {"type": "file", "file": {"filename": "page.pdf", "file_data": PDF_URL}}
    made = chat([{"type": "text", "text": "Look."}, file])
    assert "sent a document" in made.choices[0].message.content, made


@feature("chat: errors")
def chat_errors() -> None:
    error = raised(BadRequestError, lambda: client.chat.completions.create(model=MODEL, messages=[]))
    assert error.type == "invalid_request_error", error
    assert error.param == "messages", error
    assert error.request_id, error
    limited = raised(RateLimitError, lambda: chat(rate_limited_once()))
    assert limited.response.headers["retry-after"] == "1", limited.response.headers


@feature("chat: rate limit, and retry")
def chat_retry() -> None:
    made = client.with_options(max_retries=2).chat.completions.create(model=MODEL, messages=[user(rate_limited_once())])
    assert "Hello." in made.choices[0].message.content


@feature("chat: a stream is left")
def chat_left() -> None:
    with chat(stalled(), stream=True) as stream:
        for chunk in stream:
            if chunk.choices[0].delta.content:
                break


@feature("responses: text")
def responses_text() -> None:
    made = client.responses.create(model=MODEL, input="Hello.")
    assert made.status == "completed", made
    assert "Hello." in made.output_text, made
    assert made.usage.total_tokens > 0


@feature("responses: stream")
def responses_stream() -> None:
    events = list(client.responses.create(model=MODEL, input="Hello.", stream=True))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert events[-1].type == "response.completed", events[-1]
    assert text == events[-1].response.output_text
    assert [event.sequence_number for event in events] == list(range(len(events)))


@feature("responses: tools over three turns")
def responses_tools() -> None:
    items: list[Any] = []
    for _ in range(3):
        items.append(user(ASK))
        made = client.responses.create(model=MODEL, input=items, tools=RESPONSE_TOOLS, store=False)
        items += made.output
        calls = [item for item in made.output if item.type == "function_call"]
        assert calls, made
        items += [{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"} for call in calls]
        made = client.responses.create(model=MODEL, input=items, tools=RESPONSE_TOOLS, store=False)
        assert "sunny" in made.output_text, made
        items += made.output


@feature("responses: parallel tools")
def responses_parallel() -> None:
    made = client.responses.create(
        model=MODEL, input="Use get_weather and get_time for Paris.", tools=RESPONSE_TOOLS, reasoning={"effort": "high"}
    )
    calls = [item for item in made.output if item.type == "function_call"]
    assert [call.name for call in calls] == ["get_weather", "get_time"], made
    outputs: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "fine"} for call in calls]
    made = client.responses.create(model=MODEL, previous_response_id=made.id, input=outputs, tools=RESPONSE_TOOLS)
    assert made.output_text.count("fine") == 2, made


@feature("responses: structured output")
def responses_parse() -> None:
    made = client.responses.parse(model=MODEL, input="Ada, 36.", text_format=Person)
    assert isinstance(made.output_parsed, Person)


@feature("responses: structured output, streamed")
def responses_parse_stream() -> None:
    with client.responses.stream(model=MODEL, input="Ada, 36.", text_format=Person) as events:
        assert "response.output_text.delta" in {event.type for event in events}
        assert isinstance(events.get_final_response().output_parsed, Person)


@feature("responses: image")
def responses_image() -> None:
    image = {"type": "input_image", "image_url": PNG_URL, "detail": "auto"}
    made = client.responses.create(model=MODEL, input=[user([{"type": "input_text", "text": "Look."}, image])])
    assert "sent an image" in made.output_text, made


@feature("responses: PDF")
def responses_pdf() -> None:
    file = {"type": "input_file", "filename": "page.pdf", "file_data": PDF_URL}
    made = client.responses.create(model=MODEL, input=[user([{"type": "input_text", "text": "Look."}, file])])
    assert "sent a document" in made.output_text, made


@feature("responses: errors")
def responses_errors() -> None:
    error = raised(BadRequestError, lambda: client.responses.create(model=MODEL, input="Hello.", temperature=9))
    assert error.param == "temperature", error
    error = raised(
        BadRequestError,
        lambda: client.responses.create(model=MODEL, input="Hello.", previous_response_id="resp_none"),
    )
    assert error.code == "previous_response_not_found", error
    raised(NotFoundError, lambda: client.responses.retrieve("resp_none"))


@feature("responses: rate limit, and retry")
def responses_retry() -> None:
    made = client.with_options(max_retries=2).responses.create(model=MODEL, input=rate_limited_once())
    assert "Hello." in made.output_text


@feature("responses: a stream fails in the middle")
def responses_failing() -> None:
    text = simulate("Hello.", text="One two three four five.", error_after_events=9)
    error = raised(APIError, lambda: list(client.responses.create(model=MODEL, input=text, stream=True)))
    assert "overloaded" in error.message, error


@feature("responses: a stream is left")
def responses_left() -> None:
    with client.responses.create(model=MODEL, input=stalled(), stream=True) as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                break


@feature("models: list")
def models() -> None:
    assert any(model.id.startswith("claude-") for model in client.models.list())


run_features()
