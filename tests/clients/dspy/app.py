"""DSPy: predictors over its model client, with Chat Completions and with Responses."""

import os
from typing import Any, Literal

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else LiteLLM asks another host

import dspy
from features import PNG_URL, feature, raised, rate_limited_once, run_features, simulate
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


def register(kind: str) -> None:
    def model(**options: Any) -> dspy.LM:
        given = {"cache": False, "num_retries": 0, "temperature": None, "max_tokens": None, "model_type": kind}
        return dspy.LM("openai/gpt-5", **(given | options))

    @feature(f"{kind}: text")
    def text() -> None:
        answer = model()("Hello.")[0]
        assert "Hello." in str(answer), answer

    @feature(f"{kind}: a typed signature, by structured output")
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

    @feature(f"{kind}: native function calling")
    def tools() -> None:
        class Act(dspy.Signature):
            question: str = dspy.InputField()
            tools: list[dspy.Tool] = dspy.InputField()
            calls: dspy.ToolCalls = dspy.OutputField()

        adapter = dspy.ChatAdapter(use_native_function_calling=True)
        with dspy.context(lm=model(), adapter=adapter):
            made = dspy.Predict(Act)(question="Use get_weather for Paris, please.", tools=[dspy.Tool(get_weather)])
        assert [call.name for call in made.calls.tool_calls] == ["get_weather"], made

    @feature(f"{kind}: async")
    async def asynchronous() -> None:
        with dspy.context(lm=model()):
            made = await dspy.Predict("question -> answer").acall(question="Why?")
        assert made.answer, made

    @feature(f"{kind}: an image")
    def image() -> None:
        with dspy.context(lm=model()):
            made = dspy.Predict("image: dspy.Image -> name: str")(image=dspy.Image(PNG_URL))
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


register("chat")
register("responses")

run_features()
