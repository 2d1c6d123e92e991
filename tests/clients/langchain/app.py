"""LangChain: ChatOpenAI, both APIs, by LangChain's own standard suite and by what the suite leaves out."""

import base64
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from features import ASK, PDF, PNG, feature, raised, rate_limited_once, report, run_features, stalled
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from openai import BadRequestError, RateLimitError
from pydantic import BaseModel

PASSING = 38
"""Tests of the standard suite that are not skipped."""


class Person(BaseModel):
    """A person."""

    name: str
    age: int


@tool
def get_weather(city: str) -> str:
    """Weather of a city."""
    return f"sunny in {city}"


@tool
def get_time(city: str) -> str:
    """Time in a city."""
    return f"noon in {city}"


def register(kind: str, *, use_responses_api: bool) -> None:
    def model(**options: Any) -> ChatOpenAI:
        given: Any = {"model": "gpt-5", "max_retries": 0, "use_responses_api": use_responses_api}
        return ChatOpenAI(**(given | options))

    @feature(f"{kind}: text")
    def text() -> None:
        answer = model().invoke([SystemMessage("Be brief."), HumanMessage("Hello.")])
        assert "Hello." in answer.text, answer
        assert answer.usage_metadata["total_tokens"] > 0

    @feature(f"{kind}: stream")
    def stream() -> None:
        chunks = [chunk.text for chunk in model().stream("Hello.")]
        assert sum(map(bool, chunks)) > 1, chunks
        assert "Hello." in "".join(chunks), chunks

    @feature(f"{kind}: a chain of tools, streamed")
    async def streamed() -> None:
        bound = model(stream_usage=True).bind_tools([get_weather])
        whole: Any = None
        async for chunk in bound.astream([HumanMessage(ASK)]):
            whole = chunk if whole is None else whole + chunk
        assert whole.tool_calls[0]["args"]["city"], whole
        assert whole.usage_metadata["total_tokens"] > 0
        final = await bound.ainvoke([HumanMessage(ASK), whole, get_weather.invoke(whole.tool_calls[0])])
        assert "sunny in" in final.text, final

    @feature(f"{kind}: tools over three turns")
    def turns() -> None:
        bound = model().bind_tools([get_weather])
        history: list[Any] = []
        for _ in range(3):
            history.append(HumanMessage(ASK))
            history.append(bound.invoke(history))
            assert len(history[-1].tool_calls) == 1, history[-1]
            history += [get_weather.invoke(call) for call in history[-1].tool_calls]
            history.append(bound.invoke(history))
            assert "sunny in" in history[-1].text, history[-1]

    @feature(f"{kind}: parallel tools")
    def parallel() -> None:
        called = model().bind_tools([get_weather, get_time]).invoke("Use get_weather and get_time for Paris.")
        assert [call["name"] for call in called.tool_calls] == ["get_weather", "get_time"], called

    @feature(f"{kind}: image")
    def image() -> None:
        block: Any = {"type": "image", "base64": base64.b64encode(PNG).decode(), "mime_type": "image/png"}
        answer = model().invoke([HumanMessage([{"type": "text", "text": "Look."}, block])])
        assert "sent an image" in answer.text, answer

    @feature(f"{kind}: PDF")
    def pdf() -> None:
        block: Any = {"type": "file", "base64": base64.b64encode(PDF).decode(), "mime_type": "application/pdf"}
        block["filename"] = "page.pdf"
        answer = model().invoke([HumanMessage([{"type": "text", "text": "Look."}, block])])
        assert "sent a document" in answer.text, answer

    @feature(f"{kind}: errors")
    def errors() -> None:
        error = raised(BadRequestError, lambda: model(max_tokens=-1).invoke("Hello."))
        assert error.code == "integer_below_min_value", error
        raised(RateLimitError, lambda: model().invoke(rate_limited_once()))

    @feature(f"{kind}: rate limit, and retry")
    def retry() -> None:
        assert "Hello." in model(max_retries=2).invoke(rate_limited_once()).text

    @feature(f"{kind}: a stream is left")
    def left() -> None:
        stream = model().stream(stalled())
        assert any(chunk.text for chunk in stream)
        stream.close()

    for method, name in (
        ("json_schema", "structured output"),
        ("function_calling", "structured output, by a function"),
    ):

        @feature(f"{kind}: {name}")
        def structured(method: Any = method) -> None:
            made = model().with_structured_output(Person, method=method).invoke("Ada, 36.")
            assert isinstance(made, Person)

    @feature(f"{kind}: batch")
    def batch() -> None:
        answers = model().batch(["One.", "Two.", "Three."])
        assert [word in answer.text for word, answer in zip(["One.", "Two.", "Three."], answers, strict=True)]


register("chat", use_responses_api=False)
register("responses", use_responses_api=True)


@feature("responses: reasoning, and previous_response_id")
def reasoning() -> None:
    model = ChatOpenAI(
        model="gpt-5",
        max_retries=0,
        use_responses_api=True,
        use_previous_response_id=True,
        reasoning={"effort": "high", "summary": "auto"},
        output_version="responses/v1",
    )
    bound = model.bind_tools([get_weather])
    called = bound.invoke([HumanMessage(ASK)])
    assert any(block["type"] == "reasoning" for block in called.content), called.content
    answered = [get_weather.invoke(call) for call in called.tool_calls]
    final = bound.invoke([HumanMessage(ASK), called, *answered])
    assert "sunny in" in final.text, final


def standard_suite(kind: str) -> None:
    """Run it in a process of its own: LangChain keeps one asynchronous client, whose connections belong to one loop."""
    suite = Path(__file__).with_name("standard_suite.py")
    one_loop = [f"--override-ini=asyncio_default_{scope}_loop_scope=session" for scope in ("test", "fixture")]
    places = [str(suite), f"--rootdir={Path.cwd()}", f"--confcutdir={suite.parent}", "--config-file=/dev/null"]
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:warnings", "--asyncio-mode=auto", *one_loop, "-k", kind]
    subprocess.run([sys.executable, "-m", "pytest", *places, *options, "--junit-xml=suite.xml"], check=False)
    cases = list(ET.parse("suite.xml").iter("testcase"))
    for case in cases:
        for failed in (*case.iter("failure"), *case.iter("error")):
            report(f"{kind}: standard suite, {case.get('name')}", failed.text)
    passed = sum(len(case) == 0 for case in cases)
    report(f"{kind}: standard suite", None if passed >= PASSING else f"only {passed} passed")


run_features(lambda: standard_suite("chat"), lambda: standard_suite("responses"))
