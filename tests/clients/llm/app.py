"""llm, by its Python interface and by its command: Chat Completions models and, newer ones, Responses."""

import subprocess
import sys
from typing import Any

import llm
from features import ASK, PDF, PNG, feature, raised, rate_limited_once, run_features, simulate, stalled
from pydantic import BaseModel


class Person(BaseModel):
    name: str
    age: int


def get_weather(city: str) -> str:
    """Weather of a city."""
    return f"sunny in {city}"


def get_time(city: str) -> str:
    """Time in a city."""
    return f"noon in {city}"


def register(kind: str, name: str) -> None:
    @feature(f"{kind}: text")
    def text() -> None:
        response = llm.get_model(name).prompt("Hello.", system="Be brief.", stream=False)
        assert "Hello." in response.text()
        assert response.usage().output > 0

    @feature(f"{kind}: stream")
    def stream() -> None:
        chunks = list(llm.get_model(name).prompt("Hello."))
        assert len(chunks) > 1, chunks
        assert "Hello." in "".join(chunks)

    @feature(f"{kind}: async stream")
    async def async_stream() -> None:
        chunks = [chunk async for chunk in llm.get_async_model(name).prompt("Hello.")]
        assert "Hello." in "".join(chunks)

    @feature(f"{kind}: tools over three turns")
    def tools() -> None:
        conversation = llm.get_model(name).conversation(tools=[get_weather, get_time])
        for _ in range(3):
            assert "sunny in" in conversation.chain(ASK).text()

    @feature(f"{kind}: parallel tools")
    def parallel() -> None:
        answer = llm.get_model(name).chain("Use get_weather and get_time for Paris.", tools=[get_weather, get_time])
        text = answer.text()
        assert "sunny in" in text, text
        assert "noon in" in text, text

    @feature(f"{kind}: structured output")
    def structured() -> None:
        Person.model_validate_json(llm.get_model(name).prompt("Ada, 36.", schema=Person).text())

    @feature(f"{kind}: image")
    def image() -> None:
        response = llm.get_model(name).prompt("Look.", attachments=[llm.Attachment(content=PNG, type="image/png")])
        assert "an image" in response.text(), response.text()

    @feature(f"{kind}: PDF")
    def pdf() -> None:
        attachment = llm.Attachment(content=PDF, type="application/pdf")
        response = llm.get_model(name).prompt("Look.", attachments=[attachment])
        assert "sent a document" in response.text(), response.text()

    @feature(f"{kind}: errors")
    def errors() -> None:
        text = simulate("Hello.", status=400, error={"type": "invalid_request_error", "message": "Not so."})
        error: Any = raised(Exception, lambda: llm.get_model(name).prompt(text).text())
        assert "Not so." in str(error), error

    @feature(f"{kind}: rate limit, and retry")
    def retry() -> None:
        assert "Hello." in llm.get_model(name).prompt(rate_limited_once()).text()

    @feature(f"{kind}: a stream is left")
    def left() -> None:
        stream = iter(llm.get_model(name).prompt(stalled()))
        assert next(stream)
        stream.close()

    @feature(f"{kind}: the command")
    def command() -> None:
        asked = [sys.executable, "-m", "llm", "--model", name, "Hello."]
        finished = subprocess.run(asked, capture_output=True, text=True, check=False)
        assert "Hello." in finished.stdout, finished.stderr


register("chat", "gpt-4o")
register("responses", "gpt-5")

run_features()
