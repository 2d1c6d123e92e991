"""Pydantic AI: `openai-chat:` and `openai-responses:` models."""

import asyncio
from typing import Any

from features import ASK, PDF, PNG, feature, raised_by, rate_limited_once, run_features, stalled
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, PromptedOutput, ToolOutput
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import BinaryContent, ThinkingPart


class Person(BaseModel):
    name: str
    age: int


def get_weather(city: str) -> str:
    """Weather of a city."""
    return f"sunny in {city}"


def get_time(city: str) -> str:
    """Time in a city."""
    return f"noon in {city}"


def register(kind: str, model: str) -> None:
    def agent(**options: Any) -> Agent:
        return Agent(model, retries=0, **options)

    @feature(f"{kind}: text")
    async def text() -> None:
        result = await agent(instructions="Be brief.").run("Hello.")
        assert "Hello." in result.output
        assert result.usage.output_tokens > 0

    @feature(f"{kind}: stream")
    async def stream() -> None:
        async with agent().run_stream("Hello.") as result:
            deltas = [delta async for delta in result.stream_text(delta=True)]
        assert "Hello." in "".join(deltas)

    @feature(f"{kind}: tools over three turns")
    async def tools() -> None:
        clerk = agent(tools=[get_weather])
        history: Any = []
        for _ in range(3):
            result = await clerk.run(ASK, message_history=history)
            assert "sunny in" in result.output, result.output
            assert len(result.new_messages()) == 4, result.new_messages()
            history = result.all_messages()

    @feature(f"{kind}: tools, streamed")
    async def streamed() -> None:
        async with agent(tools=[get_weather]).run_stream(ASK) as result:
            output = await result.get_output()
        assert "sunny in" in output, output

    for way, name in (
        (NativeOutput, "structured output"),
        (ToolOutput, "structured output, by a tool"),
        (PromptedOutput, "structured output, by the prompt"),
    ):

        @feature(f"{kind}: {name}")
        async def structured(way: Any = way) -> None:
            # A schema in the prompt alone is one that a simulation cannot read: it is told what to say.
            answer = (
                ' [[simulate: {"text": "{\\"name\\": \\"Ada\\", \\"age\\": 36}"}]]' if way is PromptedOutput else ""
            )
            result = await agent(output_type=way(Person)).run(f"Ada, 36.{answer}")
            assert isinstance(result.output, Person)

    @feature(f"{kind}: structured output, by a tool, streamed, with other tools")
    async def both() -> None:
        async with agent(output_type=Person, tools=[get_weather]).run_stream(ASK) as result:
            output = await result.get_output()
        assert isinstance(output, Person)

    @feature(f"{kind}: parallel tools")
    async def parallel() -> None:
        result = await agent(tools=[get_weather, get_time]).run("Use get_weather and get_time for Paris.")
        assert "sunny in" in result.output, result.output
        assert "noon in" in result.output, result.output

    @feature(f"{kind}: image")
    async def image() -> None:
        result = await agent().run(["Look.", BinaryContent(PNG, media_type="image/png")])
        assert "sent an image" in result.output, result.output

    @feature(f"{kind}: PDF")
    async def pdf() -> None:
        result = await agent().run(["Look.", BinaryContent(PDF, media_type="application/pdf")])
        assert "sent a document" in result.output, result.output

    @feature(f"{kind}: errors")
    async def errors() -> None:
        asked = agent(model_settings={"max_tokens": -1}).run("Hello.")
        assert (await raised_by(ModelHTTPError, asked)).status_code == 400

    @feature(f"{kind}: rate limit, and retry")
    async def retry() -> None:
        result = await agent().run(rate_limited_once())
        assert "Hello." in result.output, result.output

    @feature(f"{kind}: a stream is left")
    async def left() -> None:
        async with agent().run_stream(stalled()) as result:
            async for _ in result.stream_text(delta=True, debounce_by=None):
                break
            await result.cancel()

    @feature(f"{kind}: ten at once")
    async def many() -> None:
        clerk = agent(tools=[get_weather])
        results = await asyncio.gather(*(clerk.run(ASK) for _ in range(10)))
        assert all("sunny in" in result.output for result in results)


register("chat", "openai-chat:gpt-5")
register("responses", "openai-responses:gpt-5")


@feature("responses: thinking comes, and goes back")
async def thinking() -> None:
    settings: Any = {"openai_reasoning_effort": "high", "openai_reasoning_summary": "auto"}
    result = await Agent("openai-responses:gpt-5", tools=[get_weather], model_settings=settings).run(ASK)
    assert "sunny in" in result.output
    parts = [part for message in result.all_messages() for part in message.parts]
    assert any(isinstance(part, ThinkingPart) for part in parts), parts


@feature("responses: previous_response_id")
async def previous() -> None:
    settings: Any = {"openai_previous_response_id": "auto"}
    clerk = Agent("openai-responses:gpt-5", tools=[get_weather], model_settings=settings)
    first = await clerk.run(ASK)
    again = await clerk.run("Goodbye.", message_history=first.all_messages())
    assert "Goodbye." in again.output


run_features()
