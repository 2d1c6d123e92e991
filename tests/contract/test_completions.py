"""The legacy endpoint, asked by the stock client."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from openai import APIError, AzureOpenAI, BadRequestError, DefaultHttpx2Client, OpenAI, RateLimitError

from tests.contract.proxy_process import Way
from tests.contract.simulated_upstream import SimulatedUpstream, simulate

ANSWER = " upon a time in Köln,\nthere was a 👋."
MODEL = "gpt-3.5-turbo-instruct"


@pytest.fixture
def lenient(way: Way) -> Iterator[OpenAI]:
    """The client as apps have it: its type for whole answers, which it uses for chunks, knows no open finish reason."""
    with way.client() as made:
        yield made


def test_a_whole_completion_has_every_field(client: OpenAI, claude: SimulatedUpstream) -> None:
    completion = client.completions.create(model=MODEL, prompt=simulate("Once", text=ANSWER), max_tokens=50)
    assert re.fullmatch(r"cmpl-[0-9a-zA-Z]{29}", completion.id)
    assert (completion.object, completion.model) == ("text_completion", MODEL)
    [choice] = completion.choices
    assert (choice.text, choice.index, choice.finish_reason, choice.logprobs) == (ANSWER, 0, "stop", None)
    usage = completion.usage
    assert usage is not None
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 1
    assert claude.last["max_tokens"] == 50
    assert claude.last["thinking"] == {"type": "between_tools"}


def test_a_streamed_completion_is_the_same_in_pieces(lenient: OpenAI) -> None:
    asked: dict[str, Any] = {"model": MODEL, "prompt": simulate("Once", text=ANSWER), "echo": True, "max_tokens": 50}
    whole = lenient.completions.create(**asked)
    *chunks, last = lenient.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    assert len(chunks) > 4
    assert len({(chunk.id, chunk.created, chunk.model, chunk.object) for chunk in [*chunks, last]}) == 1
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text == asked["prompt"] + ANSWER
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["stop"]
    assert last.choices == []
    assert last.usage == whole.usage


async def test_the_async_client_gets_the_same(way: Way) -> None:
    prompt = simulate("Once", text=ANSWER)
    async with way.async_client() as client:
        whole = await client.completions.create(model=MODEL, prompt=prompt, max_tokens=50)
        streamed = await client.completions.create(model=MODEL, prompt=prompt, max_tokens=50, stream=True)
        assert "".join([chunk.choices[0].text async for chunk in streamed]) == whole.choices[0].text == ANSWER


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_choices_are_counted_through_the_prompts(lenient: OpenAI, claude: SimulatedUpstream, stream: bool) -> None:
    prompts = [simulate("One", text="first"), simulate("Two", text="second")]
    answer = lenient.completions.create(model=MODEL, prompt=prompts, n=2, stream=stream)
    texts = dict.fromkeys(range(4), "")
    for piece in answer if stream else [answer]:
        for choice in piece.choices:
            texts[choice.index] += choice.text
    assert texts == {0: "first", 1: "first", 2: "second", 3: "second"}
    assert len(claude.calls) == 4


def test_the_cap_is_16_tokens_and_a_cut_answer_says_so(client: OpenAI, claude: SimulatedUpstream) -> None:
    completion = client.completions.create(model=MODEL, prompt=simulate("Once", text="word " * 100))
    assert completion.choices[0].finish_reason == "length"
    assert claude.last["max_tokens"] == 16


def test_what_cannot_be_done_is_a_bad_request_and_never_reaches_claude(
    client: OpenAI, claude: SimulatedUpstream
) -> None:
    for asked, param in [({"prompt": [1, 2]}, "prompt"), ({"prompt": "a", "suffix": "b"}, "suffix")]:
        with pytest.raises(BadRequestError) as caught:
            client.completions.create(model=MODEL, **asked)
        assert caught.value.param == param
    assert claude.calls == []


def test_errors_of_claude_come_as_the_client_s_own(client: OpenAI) -> None:
    prompt = simulate("Once", status=429, error={"type": "rate_limit_error", "message": "Slow down"})
    with pytest.raises(RateLimitError):
        client.completions.create(model=MODEL, prompt=[prompt, simulate("Two", text="second")])
    with pytest.raises(APIError):
        list(
            client.completions.create(
                model=MODEL, prompt=simulate("Once", text="word " * 9, error_after_events=6), stream=True
            )
        )


def test_an_azure_deployment_is_asked_by_its_path(way: Way, claude: SimulatedUpstream) -> None:
    endpoint = way.base_url.removesuffix("/v1") if way.name == "base_url" else "https://acme.openai.azure.com"
    with AzureOpenAI(
        api_key="azure-key-0123456789",
        azure_endpoint=endpoint,
        http_client=DefaultHttpx2Client(**way.httpx_options()),
        azure_deployment="my-alias",
        api_version="2024-10-21",
        _strict_response_validation=True,
    ) as azure:
        completion = azure.completions.create(model="my-alias", prompt=simulate("Once", text=ANSWER), max_tokens=50)
    assert completion.choices[0].text == ANSWER
    assert claude.last["model"] == "claude-opus-4-6"
