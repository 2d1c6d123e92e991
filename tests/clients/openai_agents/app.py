"""OpenAI Agents SDK: its Responses model, which is the default, and its Chat Completions model."""

import asyncio
from typing import Any

from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    SQLiteSession,
    WebSearchTool,
    function_tool,
    set_tracing_disabled,
)
from features import ASK, PDF_URL, PNG_URL, feature, raised_by, rate_limited_once, run_features, stalled
from openai import AsyncOpenAI, BadRequestError
from openai.types.shared import Reasoning
from pydantic import BaseModel

set_tracing_disabled(disabled=True)  # traces are OpenAI's own service


class Person(BaseModel):
    name: str
    age: int


@function_tool
def get_weather(city: str) -> str:
    """Weather of a city."""
    return f"sunny in {city}"


@function_tool
def get_time(city: str) -> str:
    """Time in a city."""
    return f"noon in {city}"


def register(kind: str, model_class: Any) -> None:
    def agent(name: str = "clerk", retries: int = 0, **options: Any) -> Agent:
        return Agent(name=name, model=model_class("gpt-5", AsyncOpenAI(max_retries=retries)), **options)

    @feature(f"{kind}: text")
    async def text() -> None:
        result = await Runner.run(agent(instructions="Be brief."), "Hello.")
        assert "Hello." in result.final_output

    @feature(f"{kind}: stream")
    async def stream() -> None:
        result = Runner.run_streamed(agent(), "Hello.")
        kinds = [event.data.type async for event in result.stream_events() if event.type == "raw_response_event"]
        assert kinds.count("response.output_text.delta") > 1, kinds
        assert "Hello." in result.final_output, result.final_output

    @feature(f"{kind}: tools, streamed")
    async def streamed() -> None:
        result = Runner.run_streamed(agent(tools=[get_weather]), ASK)
        kinds = [event.type async for event in result.stream_events()]
        assert "raw_response_event" in kinds
        assert "sunny in" in result.final_output, result.final_output

    @feature(f"{kind}: a required tool")
    async def required() -> None:
        result = await Runner.run(
            agent(tools=[get_weather], model_settings=ModelSettings(tool_choice="required")), "Hello."
        )
        assert any(item.type == "tool_call_item" for item in result.new_items), result.new_items

    @feature(f"{kind}: handoff")
    async def handoff() -> None:
        other = agent("weather_agent", instructions="You know the weather.")
        result = await Runner.run(agent(handoffs=[other]), "Please transfer_to_weather_agent.")
        assert result.last_agent.name == "weather_agent", result.last_agent

    @feature(f"{kind}: structured output")
    async def structured() -> None:
        result = await Runner.run(agent(output_type=Person), "Ada, 36.")
        assert isinstance(result.final_output, Person)

    @feature(f"{kind}: tools and structured output")
    async def both() -> None:
        result = await Runner.run(agent(tools=[get_weather], output_type=Person), ASK)
        assert isinstance(result.final_output, Person)
        assert any(item.type == "tool_call_item" for item in result.new_items)

    @feature(f"{kind}: an agent as a tool")
    async def nested() -> None:
        inner = agent("inner", instructions="Answer.").as_tool("ask_inner", "Ask the inner agent.")
        result = await Runner.run(agent(tools=[inner]), "Use ask_inner, please.")
        assert "The tools answered" in result.final_output, result.final_output

    @feature(f"{kind}: tools over three turns")
    async def turns() -> None:
        session = SQLiteSession("one")
        for _ in range(3):
            result = await Runner.run(agent(tools=[get_weather]), ASK, session=session)
            assert any(item.type == "tool_call_item" for item in result.new_items), result.new_items
            assert "sunny in" in result.final_output, result.final_output

    @feature(f"{kind}: parallel tools")
    async def parallel() -> None:
        result = await Runner.run(agent(tools=[get_weather, get_time]), "Use get_weather and get_time for Paris.")
        assert "sunny in" in result.final_output, result.final_output
        assert "noon in" in result.final_output, result.final_output

    async def show(part: Any) -> str:
        content: Any = [{"type": "input_text", "text": "Look."}, part]
        return str((await Runner.run(agent(), [{"role": "user", "content": content}])).final_output)

    @feature(f"{kind}: image")
    async def image() -> None:
        answer = await show({"type": "input_image", "image_url": PNG_URL, "detail": "auto"})
        assert "sent an image" in answer, answer

    @feature(f"{kind}: PDF")
    async def pdf() -> None:
        answer = await show({"type": "input_file", "filename": "page.pdf", "file_data": PDF_URL})
        assert "sent a document" in answer, answer

    @feature(f"{kind}: errors")
    async def errors() -> None:
        asked = Runner.run(agent(model_settings=ModelSettings(temperature=9)), "Hello.")
        assert (await raised_by(BadRequestError, asked)).param == "temperature"

    @feature(f"{kind}: rate limit, and retry")
    async def retry() -> None:
        result = await Runner.run(agent(retries=2), rate_limited_once())
        assert "Hello." in result.final_output, result.final_output

    @feature(f"{kind}: a stream is left")
    async def left() -> None:
        result = Runner.run_streamed(agent(), stalled())
        async for event in result.stream_events():
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                result.cancel()

    @feature(f"{kind}: ten at once")
    async def many() -> None:
        results = await asyncio.gather(*(Runner.run(agent(tools=[get_weather]), ASK) for _ in range(10)))
        assert all("sunny in" in result.final_output for result in results)


register("responses", OpenAIResponsesModel)
register("chat", OpenAIChatCompletionsModel)


def responses_agent(**options: Any) -> Agent:
    return Agent(name="clerk", model=OpenAIResponsesModel("gpt-5", AsyncOpenAI(max_retries=0)), **options)


@feature("responses: reasoning goes back")
async def reasoning() -> None:
    settings = ModelSettings(
        reasoning=Reasoning(effort="high", summary="auto"),
        response_include=["reasoning.encrypted_content"],
        store=False,
    )
    result = await Runner.run(responses_agent(tools=[get_weather], model_settings=settings), ASK)
    assert any(item.type == "reasoning_item" for item in result.new_items), result.new_items
    assert "sunny in" in result.final_output


@feature("responses: previous_response_id")
async def previous() -> None:
    first = await Runner.run(responses_agent(tools=[get_weather]), ASK)
    again = await Runner.run(responses_agent(), "Goodbye.", previous_response_id=first.last_response_id)
    assert "Goodbye." in again.final_output


@feature("responses: a conversation kept by the server")
async def conversation() -> None:
    client = AsyncOpenAI(max_retries=0)
    kept = await client.conversations.create()
    result = await Runner.run(responses_agent(tools=[get_weather]), ASK, conversation_id=kept.id)
    assert "sunny in" in result.final_output
    result = await Runner.run(responses_agent(), "Goodbye.", conversation_id=kept.id)
    assert "Goodbye." in result.final_output


@feature("responses: web search")
async def search() -> None:
    result = await Runner.run(responses_agent(tools=[WebSearchTool()]), "Use web_search, please.")
    assert "simulated a search" in result.final_output, result.final_output


run_features()
