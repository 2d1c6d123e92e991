"""DSPy: predictors over its model client, with Chat Completions and with Responses."""

import os
from collections.abc import Callable
from typing import Any, Literal

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else LiteLLM asks another host

import dspy
from features import (
    ASK,
    PDF_URL,
    PNG_URL,
    feature,
    raised,
    rate_limited_once,
    run_features,
    simulate,
    stalled,
)
from pydantic import BaseModel

dspy.configure(adapter=dspy.JSONAdapter())


class Person(BaseModel):
    name: str
    age: int


class Extract(dspy.Signature):
    """Extract the person."""

    text: str = dspy.InputField()
    person: Person = dspy.OutputField()
    mood: Literal["good", "bad"] = dspy.OutputField()


def get_weather(city: str) -> str:
    """Weather of a city."""
    return f"sunny in {city}"


def get_time(city: str) -> str:
    """Time in a city."""
    return f"noon in {city}"


TOOLS = [dspy.Tool(each).format_as_litellm_function_call() for each in (get_weather, get_time)]


def as_tool_call(called: Any) -> dict[str, Any]:
    """Make the call of an assistant's message out of an answer's, which DSPy gives as the API has it."""
    call = called if isinstance(called, dict) else called.model_dump()
    function = call.get("function") or call
    named = {"name": function["name"], "arguments": function["arguments"]}
    return {"id": call.get("call_id") or call["id"], "type": "function", "function": named}


def register(kind: str) -> Callable[[], dspy.LM]:
    def model(**options: Any) -> dspy.LM:
        given = {"cache": False, "num_retries": 0, "temperature": None, "max_tokens": None, "model_type": kind}
        return dspy.LM("openai/gpt-5", **(given | options))

    @feature(f"{kind}: text")
    def text() -> None:
        answer = model()("Hello.")[0]
        assert "Hello." in str(answer), answer

    @feature(f"{kind}: structured output")
    def structured() -> None:
        with dspy.context(lm=model()):
            made = dspy.Predict(Extract)(text="Ada, 36.")
        assert isinstance(made.person, Person), made
        assert made.mood == "good", made

    @feature(f"{kind}: chain of thought")
    def thought() -> None:
        with dspy.context(lm=model()):
            made = dspy.ChainOfThought("question -> answer")(question="Why?")
        assert made.reasoning, made
        assert made.answer, made

    @feature(f"{kind}: tools over three turns")
    def turns() -> None:
        lm = model()
        messages: list[dict[str, Any]] = []
        for _ in range(3):
            messages.append({"role": "user", "content": ASK})
            [call] = [as_tool_call(each) for each in lm(messages=messages, tools=TOOLS)[0]["tool_calls"]]
            messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": "sunny"})
            answer = str(lm(messages=messages, tools=TOOLS)[0])
            assert "sunny" in answer, answer
            messages.append({"role": "assistant", "content": answer})

    @feature(f"{kind}: an agent, ReActV2")
    def agent() -> None:
        with dspy.context(lm=model(), adapter=dspy.ChatAdapter(use_native_function_calling=True)):
            made = dspy.ReActV2("question -> answer", tools=[get_weather])(question=ASK)
        assert made.answer, made
        assert "sunny in" in str(made.history), made.history

    @feature(f"{kind}: parallel tools")
    def tools() -> None:
        class Act(dspy.Signature):
            question: str = dspy.InputField()
            tools: list[dspy.Tool] = dspy.InputField()
            calls: dspy.ToolCalls = dspy.OutputField()

        adapter = dspy.ChatAdapter(use_native_function_calling=True)
        with dspy.context(lm=model(), adapter=adapter):
            offered = [dspy.Tool(get_weather), dspy.Tool(get_time)]
            made = dspy.Predict(Act)(question="Use get_weather and get_time for Paris, please.", tools=offered)
        assert [call.name for call in made.calls.tool_calls] == ["get_weather", "get_time"], made

    @feature(f"{kind}: async")
    async def asynchronous() -> None:
        with dspy.context(lm=model()):
            made = await dspy.Predict("question -> answer").acall(question="Why?")
        assert made.answer, made

    @feature(f"{kind}: image")
    def image() -> None:
        with dspy.context(lm=model()):
            made = dspy.Predict("image: dspy.Image -> name: str")(image=dspy.Image(PNG_URL))
        assert made.name, made

    @feature(f"{kind}: PDF")
    def pdf() -> None:
        with dspy.context(lm=model()):
            made = dspy.Predict("file: dspy.File -> name: str")(file=dspy.File(PDF_URL, filename="page.pdf"))
        assert made.name, made

    @feature(f"{kind}: errors")
    def errors() -> None:
        text = simulate("Hello.", status=400, error={"type": "invalid_request_error", "message": "Not so."})
        error: Any = raised(Exception, lambda: model()(text))
        assert "Not so." in str(error), error

    @feature(f"{kind}: rate limit, and retry")
    def retry() -> None:
        answer = model(num_retries=2)(rate_limited_once())[0]
        assert "Hello." in str(answer), answer

    return model


chat_model = register("chat")
register("responses")


@feature("chat: stream")
async def stream() -> None:
    listeners = [dspy.streaming.StreamListener("answer")]
    program = dspy.streamify(dspy.Predict("question -> answer"), stream_listeners=listeners)
    with dspy.context(lm=chat_model()):
        found = [each async for each in program(question="Why?")]
    assert sum(isinstance(each, dspy.streaming.StreamResponse) for each in found) > 1, found
    assert found[-1].answer, found


@feature("chat: a stream is left")
async def left() -> None:
    with dspy.context(lm=chat_model()):
        stream = dspy.streamify(dspy.Predict("question -> answer"))(question=stalled())
        async for _ in stream:
            break
        await stream.aclose()


run_features()
