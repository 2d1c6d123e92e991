"""LiteLLM as a client: its OpenAI provider with Chat Completions and Responses, and its Anthropic provider."""

import json
import os
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it asks another host

import litellm
from features import ASK, PDF_URL, PNG_URL, feature, raised, rate_limited_once, run_features, stalled
from pydantic import BaseModel

litellm.telemetry = False
litellm.suppress_debug_info = True
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTIONS = [{"name": name, "description": name, "parameters": SCHEMA} for name in ("get_weather", "get_time")]
TOOLS = [{"type": "function", "function": function} for function in FUNCTIONS]
RESPONSE_TOOLS = [{"type": "function", **function} for function in FUNCTIONS]


class Person(BaseModel):
    name: str
    age: int


def user(content: Any) -> Any:
    return {"role": "user", "content": content}


def register(kind: str, model: str, **always: Any) -> None:
    def ask(messages: Any, **options: Any) -> Any:
        return litellm.completion(model, messages=messages, timeout=20, **({"num_retries": 0} | always | options))

    @feature(f"{kind}: text")
    def text() -> None:
        made = ask([{"role": "system", "content": "Be brief."}, user("Hello.")])
        assert "Hello." in made.choices[0].message.content, made
        assert made.usage.total_tokens > 0

    @feature(f"{kind}: stream")
    def stream() -> None:
        chunks = list(ask([user("Hello.")], stream=True, stream_options={"include_usage": True}))
        whole = litellm.stream_chunk_builder(chunks)
        assert "Hello." in whole.choices[0].message.content, whole
        assert whole.usage.total_tokens > 0

    @feature(f"{kind}: async stream")
    async def async_stream() -> None:
        made = await litellm.acompletion(model, messages=[user("Hello.")], stream=True, num_retries=0, **always)
        deltas = [chunk.choices[0].delta.content or "" async for chunk in made]
        assert "Hello." in "".join(deltas), deltas

    @feature(f"{kind}: tools over three turns")
    def tools() -> None:
        messages: list[Any] = []
        for _ in range(3):
            messages.append(user(ASK))
            made = ask(messages, tools=TOOLS).choices[0]
            assert made.finish_reason == "tool_calls", made
            messages.append(made.message)
            messages += [
                {"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in made.message.tool_calls
            ]
            made = ask(messages, tools=TOOLS).choices[0]
            assert "sunny" in made.message.content, made
            messages.append(made.message)

    @feature(f"{kind}: parallel tools")
    def parallel() -> None:
        chunks = list(ask([user("Use get_weather and get_time for Paris.")], tools=TOOLS, stream=True))
        calls = litellm.stream_chunk_builder(chunks).choices[0].message.tool_calls
        assert [call.function.name for call in calls] == ["get_weather", "get_time"], calls
        assert all(json.loads(call.function.arguments)["city"] for call in calls), calls

    @feature(f"{kind}: structured output")
    def structured() -> None:
        made = ask([user("Ada, 36.")], response_format=Person)
        Person.model_validate_json(made.choices[0].message.content)

    @feature(f"{kind}: image")
    def image() -> None:
        made = ask([user([{"type": "text", "text": "Look."}, {"type": "image_url", "image_url": {"url": PNG_URL}}])])
        assert "sent an image" in made.choices[0].message.content, made

    @feature(f"{kind}: PDF")
    def pdf() -> None:
        file = {"type": "file", "file": {"filename": "page.pdf", "file_data": PDF_URL}}
        made = ask([user([{"type": "text", "text": "Look."}, file])])
        assert "sent a document" in made.choices[0].message.content, made

    @feature(f"{kind}: errors")
    def errors() -> None:
        nowhere = {"type": "function", "function": {"name": "nowhere"}}
        error = raised(litellm.BadRequestError, lambda: ask([user("Hello.")], tools=TOOLS, tool_choice=nowhere))
        assert error.status_code == 400, error
        limited = raised(litellm.RateLimitError, lambda: ask([user(rate_limited_once())]))
        assert limited.status_code == 429, limited

    @feature(f"{kind}: rate limit, and retry")
    def retry() -> None:
        made = ask([user(rate_limited_once())], num_retries=2)
        assert "Hello." in made.choices[0].message.content, made

    @feature(f"{kind}: a stream is left")
    def left() -> None:
        made = ask([user(stalled())], stream=True)
        assert any(chunk.choices[0].delta.content for chunk in made)


register("chat", "openai/gpt-5")
register("chat, by the bridge to responses", "openai/responses/gpt-5")


def respond(content: Any, **options: Any) -> Any:
    return litellm.responses(model="openai/gpt-5", input=content, timeout=20, **({"num_retries": 0} | options))


def show(part: Any) -> str:
    return str(respond([user([{"type": "input_text", "text": "Look."}, part])]).output[-1].content[0].text)


@feature("responses: text")
def responses_text() -> None:
    made = respond("Hello.")
    assert "Hello." in made.output[-1].content[0].text, made


@feature("responses: stream")
def responses_stream() -> None:
    events = list(respond("Hello.", stream=True))
    assert events[-1].type == "response.completed", events[-1]
    assert any(event.type == "response.output_text.delta" for event in events)


@feature("responses: tools over three turns")
def responses_tools() -> None:
    previous = None
    for _ in range(3):
        made = respond(ASK, previous_response_id=previous, tools=RESPONSE_TOOLS)
        outputs: Any = [
            {"type": "function_call_output", "call_id": item.call_id, "output": "sunny"}
            for item in made.output
            if item.type == "function_call"
        ]
        assert len(outputs) == 1, made
        made = respond(outputs, previous_response_id=made.id, tools=RESPONSE_TOOLS)
        assert "sunny" in made.output[-1].content[0].text, made
        previous = made.id


@feature("responses: parallel tools")
def responses_parallel() -> None:
    made = respond("Use get_weather and get_time for Paris.", tools=RESPONSE_TOOLS)
    calls = [item for item in made.output if item.type == "function_call"]
    assert [call.name for call in calls] == ["get_weather", "get_time"], made


@feature("responses: structured output")
def responses_structured() -> None:
    Person.model_validate_json(respond("Ada, 36.", text_format=Person).output[-1].content[0].text)


@feature("responses: image")
def responses_image() -> None:
    answer = show({"type": "input_image", "image_url": PNG_URL, "detail": "auto"})
    assert "sent an image" in answer, answer


@feature("responses: PDF")
def responses_pdf() -> None:
    answer = show({"type": "input_file", "filename": "page.pdf", "file_data": PDF_URL})
    assert "sent a document" in answer, answer


@feature("responses: errors")
def responses_errors() -> None:
    error = raised(litellm.BadRequestError, lambda: respond("Hello.", temperature=9))
    assert error.status_code == 400, error
    limited = raised(litellm.RateLimitError, lambda: respond(rate_limited_once()))
    assert limited.status_code == 429, limited


@feature("responses: rate limit, and retry")
def responses_retry() -> None:
    made = respond(rate_limited_once(), num_retries=2)
    assert "Hello." in made.output[-1].content[0].text, made


@feature("responses: a stream is left")
def responses_left() -> None:
    assert any(event.type == "response.output_text.delta" for event in respond(stalled(), stream=True))


if os.environ["WAY"] == "base_url":  # Claude's own API is served by the endpoint alone
    origin = os.environ["OPENAI_BASE_URL"].removesuffix("/v1")
    register("messages", "anthropic/claude-sonnet-5-5", api_base=origin, api_key=os.environ["OPENAI_API_KEY"])

run_features()
