"""instructor: a pydantic model out of each of its modes for OpenAI, whole and streamed."""

from collections.abc import Callable, Iterable
from typing import Any

import instructor
from features import PDF_URL, PNG_URL, feature, raised, rate_limited_once, run_features, simulate, stalled
from instructor import Mode
from instructor.exceptions import InstructorRetryException
from instructor.processing.multimodal import PDF
from openai import AsyncOpenAI, BadRequestError, OpenAI
from pydantic import BaseModel, field_validator

MODEL = "gpt-5"
JSON = '{"name": "Ada", "age": 36}'
FENCED = f"```json\n{JSON}\n```"

CHAT_MODES = (Mode.TOOLS, Mode.TOOLS_STRICT, Mode.JSON_SCHEMA, Mode.JSON, Mode.MD_JSON, Mode.JSON_O1, Mode.FUNCTIONS)
RESPONSES_MODES = (Mode.RESPONSES_TOOLS, Mode.RESPONSES_TOOLS_WITH_INBUILT_TOOLS)
SAID = {Mode.JSON: FENCED, Mode.MD_JSON: FENCED, Mode.JSON_O1: JSON}
"""Where the schema is in the prompt alone, the simulated Claude cannot know it: it is told what to say."""


class Person(BaseModel):
    name: str
    age: int


class Weather(BaseModel):
    """Weather."""

    city: str


class Time(BaseModel):
    """Time."""

    city: str


def client(mode: Mode, **options: Any) -> Any:
    return instructor.from_openai(OpenAI(max_retries=0, timeout=20, **options), mode=mode)


def asked(mode: Mode, text: str = "Ada, 36.") -> Any:
    content = simulate(text, text=SAID[mode]) if mode in SAID else text
    return {"model": MODEL, "messages": [{"role": "user", "content": content}], "max_retries": 0}


for mode in (*CHAT_MODES, *RESPONSES_MODES):

    @feature(f"{mode.value}: whole")
    def whole(mode: Mode = mode) -> None:
        assert isinstance(client(mode).create(response_model=Person, **asked(mode)), Person)

    if mode is Mode.JSON_O1:
        continue

    @feature(f"{mode.value}: partial, streamed")
    def partial(mode: Mode = mode) -> None:
        text = "Ada Lovelace, who lived in London and wrote programs, 36."
        made = list(client(mode).create_partial(response_model=Person, **asked(mode, text)))
        assert len(made) > 1, made
        assert isinstance(made[-1].name, str), made[-1]
        assert isinstance(made[-1].age, int), made[-1]


@feature("tool_call: async")
async def asynchronous() -> None:
    async with AsyncOpenAI(max_retries=0, timeout=20) as made:
        person = await instructor.from_openai(made).create(response_model=Person, **asked(Mode.TOOLS))
    assert isinstance(person, Person)


@feature("tool_call: several, streamed")
def several() -> None:
    people = list(client(Mode.TOOLS).create_iterable(response_model=Person, **asked(Mode.TOOLS)))
    assert people, people
    assert all(isinstance(person, Person) for person in people), people


@feature("chat: parallel tools")
def parallel() -> None:
    found = client(Mode.PARALLEL_TOOLS).create(
        response_model=Iterable[Weather | Time], **asked(Mode.PARALLEL_TOOLS, "Use Weather and Time for Paris.")
    )
    assert [type(each) for each in found] == [Weather, Time]


@feature("tool_call: asked again after a validation error")
def reask() -> None:
    class Checked(Person):
        @field_validator("age")
        @classmethod
        def is_small(cls, age: int) -> int:
            if age > 1:  # the age that the simulated Claude gives by itself
                raise ValueError("too old")
            return age

    text = simulate("Ada, 36.", times=1, text=JSON)
    person = client(Mode.TOOLS).create(response_model=Checked, **(asked(Mode.TOOLS, text) | {"max_retries": 2}))
    assert person.age == 1, person


def register(kind: str, mode: Mode, is_text: Callable[[Any], bool]) -> None:
    @feature(f"{kind}: text")
    def text() -> None:
        made = client(mode).create(response_model=None, **asked(mode, "Hello."))
        assert "Hello." in str(made), made

    @feature(f"{kind}: stream")
    def stream() -> None:
        parts = list(client(mode).create(response_model=None, stream=True, **asked(mode, "Hello.")))
        assert sum(map(is_text, parts)) > 1, parts

    @feature(f"{kind}: structured output")
    def structured() -> None:
        assert isinstance(client(mode).create(response_model=Person, **asked(mode)), Person)

    def show(part: Any) -> str:
        messages = [{"role": "user", "content": ["Look.", part]}]
        return str(client(mode).create(response_model=None, **(asked(mode) | {"messages": messages})))

    @feature(f"{kind}: image")
    def image() -> None:
        answer = show(instructor.Image.from_base64(PNG_URL))
        assert "sent an image" in answer, answer

    @feature(f"{kind}: PDF")
    def pdf() -> None:
        answer = show(PDF.from_base64(PDF_URL))
        assert "sent a document" in answer, answer

    @feature(f"{kind}: errors")
    def errors() -> None:
        request = asked(mode) | {"temperature": 9}
        error = raised(InstructorRetryException, lambda: client(mode).create(response_model=Person, **request))
        assert isinstance(error.__cause__, BadRequestError), error.__cause__

    @feature(f"{kind}: rate limit, and retry")
    def retry() -> None:
        retrying = instructor.from_openai(OpenAI(max_retries=2, timeout=20), mode=mode)
        assert isinstance(retrying.create(response_model=Person, **asked(mode, rate_limited_once())), Person)

    @feature(f"{kind}: a stream is left")
    def left() -> None:
        with client(mode).create(response_model=None, stream=True, **asked(mode, stalled())) as parts:
            assert any(is_text(part) for part in parts)


register("chat", Mode.TOOLS, lambda chunk: bool(chunk.choices and chunk.choices[0].delta.content))
register("responses", Mode.RESPONSES_TOOLS, lambda event: event.type == "response.output_text.delta")

run_features()
