"""LlamaIndex: its OpenAI and its OpenAIResponses model, and an agent on each."""

import base64
from typing import Any

from features import ASK, PDF, PNG, feature, raised, rate_limited_once, run_features, stalled
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, DocumentBlock, ImageBlock, MessageRole, TextBlock
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI, OpenAIResponses
from openai import BadRequestError
from pydantic import BaseModel


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def get_weather(city: str) -> str:
    """Weather of a city."""
    return f"sunny in {city}"


def get_time(city: str) -> str:
    """Time in a city."""
    return f"noon in {city}"


TOOLS = [FunctionTool.from_defaults(get_weather), FunctionTool.from_defaults(get_time)]


def register(kind: str, model_class: Any) -> None:
    def model(**options: Any) -> Any:
        return model_class(model="gpt-5", timeout=20, **({"max_retries": 0} | options))

    @feature(f"{kind}: text")
    def text() -> None:
        assert "Hello." in model().complete("Hello.").text
        answer = model().chat([ChatMessage("Be brief.", role="system"), ChatMessage("Hello.")])
        assert "Hello." in answer.message.content, answer

    @feature(f"{kind}: stream")
    def stream() -> None:
        deltas = [chunk.delta for chunk in model().stream_chat([ChatMessage("Hello.")])]
        assert "Hello." in "".join(deltas), deltas

    @feature(f"{kind}: async stream")
    async def async_stream() -> None:
        deltas = [chunk.delta async for chunk in await model().astream_chat([ChatMessage("Hello.")])]
        assert "Hello." in "".join(deltas), deltas

    @feature(f"{kind}: tools over three turns")
    def tools() -> None:
        llm = model()
        history: list[ChatMessage] = []
        for _ in range(3):
            history.append(ChatMessage(ASK))
            answer = llm.chat_with_tools(TOOLS, chat_history=history)
            history.append(answer.message)
            calls = llm.get_tool_calls_from_response(answer)
            assert [call.tool_name for call in calls] == ["get_weather"], calls
            history += [
                ChatMessage("sunny", role=MessageRole.TOOL, additional_kwargs={"tool_call_id": call.tool_id})
                for call in calls
            ]
            answer = llm.chat_with_tools(TOOLS, chat_history=history)
            history.append(answer.message)
            assert "sunny" in answer.message.content, answer

    @feature(f"{kind}: parallel tools")
    def parallel() -> None:
        llm = model()
        asked = "Use get_weather and get_time for Paris."
        chunks = list(llm.stream_chat_with_tools(TOOLS, asked, allow_parallel_tool_calls=True))
        calls = llm.get_tool_calls_from_response(chunks[-1])
        assert [call.tool_name for call in calls] == ["get_weather", "get_time"], calls
        assert all(call.tool_kwargs["city"] for call in calls), calls

    @feature(f"{kind}: a required tool")
    def required() -> None:
        llm = model()
        answer = llm.chat_with_tools(TOOLS, "Hello.", tool_required=True)
        assert llm.get_tool_calls_from_response(answer)

    @feature(f"{kind}: an agent")
    async def agent() -> None:
        clerk = FunctionAgent(tools=TOOLS, llm=model())
        answer = await clerk.run(ASK)
        assert "sunny in" in str(answer), answer

    @feature(f"{kind}: structured output")
    def structured() -> None:
        assert isinstance(model().structured_predict(Person, PromptTemplate("Ada, 36.")), Person)
        made = model().as_structured_llm(Person).chat([ChatMessage("Ada, 36.")])
        assert isinstance(made.raw, Person), made

    @feature(f"{kind}: structured output, streamed")
    def structured_stream() -> None:
        made = list(model().stream_structured_predict(Person, PromptTemplate("Ada, 36.")))
        assert isinstance(made[-1].age, int), made

    @feature(f"{kind}: image")
    def image() -> None:
        block = ImageBlock(image=base64.b64encode(PNG), image_mimetype="image/png")
        answer = model().chat([ChatMessage(blocks=[TextBlock(text="Look."), block])])
        assert "sent an image" in answer.message.content, answer

    @feature(f"{kind}: PDF")
    def pdf() -> None:
        block = DocumentBlock(data=base64.b64encode(PDF), title="page.pdf", document_mimetype="application/pdf")
        answer = model().chat([ChatMessage(blocks=[TextBlock(text="Look."), block])])
        assert "sent a document" in answer.message.content, answer

    @feature(f"{kind}: errors")
    def errors() -> None:
        error = raised(BadRequestError, lambda: model().chat([ChatMessage("Hello.")], tool_choice="nonsense"))
        assert error.type == "invalid_request_error", error

    @feature(f"{kind}: rate limit, and retry")
    def retry() -> None:
        answer = model(max_retries=3).chat([ChatMessage(rate_limited_once())])
        assert "Hello." in answer.message.content, answer

    @feature(f"{kind}: a stream is left")
    def left() -> None:
        stream = model().stream_chat([ChatMessage(stalled())])
        assert any(chunk.delta for chunk in stream)
        stream.close()


register("chat", OpenAI)
register("responses", OpenAIResponses)

run_features()
