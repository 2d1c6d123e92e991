"""Errors, as the SDK raises them: their class, code, param and headers; what it tries again, and how streams break."""

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpx2Client, OpenAI

from addon.configuration.settings import load_settings
from tests.contract.proxy_process import AUTHORIZATION, STANDALONE, ProxyProcess, Way
from tests.contract.simulated_upstream import SimulatedUpstream, events_of, simulate
from tests.integration.running_proxy import run_proxy

HELLO: Any = [{"role": "user", "content": "Hello"}]
both_forms = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


def user(text: str) -> Any:
    return [{"role": "user", "content": text}]


def scripted(**script: Any) -> Any:
    return user(simulate(**script))


@pytest.mark.parametrize(
    ("request_fields", "code", "param"),
    [
        ({"messages": HELLO, "logprobs": True}, "unsupported_parameter", "logprobs"),
        ({"messages": HELLO, "modalities": ["text", "audio"]}, "invalid_value", "modalities"),
        ({"messages": HELLO, "temperature": 3}, "decimal_above_max_value", "temperature"),
        ({"messages": HELLO, "n": 0}, "integer_below_min_value", "n"),
        ({"messages": HELLO, "reasoning_effort": "extreme"}, "invalid_value", "reasoning_effort"),
        ({"messages": [{"role": "wizard", "content": "Hi"}]}, "invalid_value", "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "invalid_type", "messages[0].content"),
        (
            {"messages": HELLO, "tools": [], "tool_choice": {"type": "function", "function": {"name": "x"}}},
            None,
            None,
        ),
        (
            {
                "messages": HELLO,
                "tools": [{"type": "function", "function": {"name": "a"}}],
                "tool_choice": {"type": "function", "function": {"name": "x"}},
            },
            "invalid_value",
            "tool_choice",
        ),
    ],
    ids=["logprobs", "audio", "temperature", "n", "effort", "role", "content", "choice_without_tools", "unknown_tool"],
)
@both_forms
def test_S12_a_mistake_of_the_app_is_a_bad_request_and_never_reaches_claude(
    client: OpenAI,
    claude: SimulatedUpstream,
    request_fields: dict[str, Any],
    code: str | None,
    param: str | None,
    stream: bool,
) -> None:
    if code is None:  # M23: a choice among no tools is passed over, as a choice that means nothing
        assert client.chat.completions.create(model="gpt-4o", **request_fields)
        return
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model="gpt-4o", stream=stream, **request_fields)
    error = raised.value
    assert (error.status_code, error.code, error.param) == (400, code, param)
    assert error.type == "invalid_request_error"
    assert error.request_id is not None
    assert claude.calls == []


@both_forms
@pytest.mark.parametrize(
    ("script", "error_class", "status", "code"),
    [
        ({"status": 400, "error": {"message": "messages: nonsense"}}, openai.BadRequestError, 400, None),
        (
            {"status": 401, "error": {"message": "invalid x-api-key"}},
            openai.AuthenticationError,
            401,
            "invalid_api_key",
        ),
        ({"status": 403, "error": {"message": "no"}}, openai.PermissionDeniedError, 403, "permission_denied"),
        ({"status": 404, "error": {"message": "model: claude-x"}}, openai.NotFoundError, 404, "model_not_found"),
        ({"status": 413, "error": {"message": "too large"}}, openai.APIStatusError, 413, "request_too_large"),
        ({"status": 429, "error": {"message": "slow down"}}, openai.RateLimitError, 429, "rate_limit_exceeded"),
        ({"status": 500, "error": {"message": "oops"}}, openai.InternalServerError, 500, "server_error"),
        ({"status": 529}, openai.InternalServerError, 503, "server_is_overloaded"),
    ],
    ids=lambda value: str(value["status"]) if isinstance(value, dict) else None,
)
def test_E1_an_error_of_claude_is_raised_as_its_own_class(
    client: OpenAI,
    script: dict[str, Any],
    error_class: type[openai.APIStatusError],
    status: int,
    code: str,
    stream: bool,
) -> None:
    with pytest.raises(error_class) as raised:
        client.chat.completions.create(model="gpt-4o", messages=scripted(**script), stream=stream)
    error = raised.value
    assert (error.status_code, error.code) == (status, code)
    assert error.request_id is not None
    assert isinstance(error.body, dict)
    assert error.body.keys() == {"message", "type", "param", "code"}


def test_E1_an_overloaded_claude_says_when_to_come_back(client: OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as raised:
        client.chat.completions.create(model="gpt-4o", messages=scripted(status=529))
    assert raised.value.status_code == 503
    assert float(raised.value.response.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("ask", "param"),
    [
        (lambda client, text: client.chat.completions.create(model="gpt-4o", messages=user(text)), "messages"),
        (lambda client, text: client.responses.create(model="gpt-4o", input=text), "input"),
        (lambda client, text: client.responses.compact(model="gpt-4o", input=text), "input"),
        (lambda client, text: client.responses.input_tokens.count(model="gpt-4o", input=text), "input"),
        (lambda client, text: client.completions.create(model="gpt-3.5-turbo-instruct", prompt=text), "prompt"),
    ],
    ids=["chat completions", "responses", "compaction", "input tokens", "completions"],
)
def test_E2_a_prompt_that_is_too_long_is_known_by_its_code_and_param(
    client: OpenAI, ask: Callable[[OpenAI, str], Any], param: str
) -> None:
    error = {"message": "prompt is too long: 250000 tokens > 200000 maximum"}
    with pytest.raises(openai.BadRequestError) as raised:
        ask(client, simulate(status=400, error=error))
    assert (raised.value.code, raised.value.param) == ("context_length_exceeded", param)
    assert "maximum context length is 200000 tokens" in raised.value.message


@pytest.mark.parametrize(
    ("ask", "error_class", "message", "param"),
    [
        (
            lambda client: client.chat.completions.create(model="claude-none", messages=HELLO),
            openai.NotFoundError,
            "The model `claude-none` does not exist or you do not have access to it.",
            None,
        ),
        (
            lambda client: client.completions.create(model="claude-none", prompt="Hi"),
            openai.NotFoundError,
            "The model `claude-none` does not exist or you do not have access to it.",
            None,
        ),
        (
            lambda client: client.responses.create(model="claude-none", input="Hi"),
            openai.BadRequestError,
            "The requested model 'claude-none' does not exist.",
            "model",
        ),
        (
            lambda client: client.responses.create(model="claude-none", input="Hi", stream=True),
            openai.BadRequestError,
            "The requested model 'claude-none' does not exist.",
            "model",
        ),
        (
            lambda client: client.responses.input_tokens.count(model="claude-none", input="Hi"),
            openai.BadRequestError,
            "The requested model 'claude-none' does not exist.",
            "model",
        ),
    ],
    ids=["chat completions", "completions", "responses", "responses, streamed", "input tokens"],
)
def test_an_unknown_model_is_refused_as_each_api_does(
    client: OpenAI,
    ask: Callable[[OpenAI], Any],
    error_class: type[openai.APIStatusError],
    message: str,
    param: str | None,
) -> None:
    with pytest.raises(error_class) as raised:
        ask(client)
    assert isinstance(raised.value.body, dict)
    assert raised.value.body == {
        "message": message,
        "type": "invalid_request_error",
        "param": param,
        "code": "model_not_found",
    }


NOT_DOWNLOADED = "Unable to download the file. Please verify the URL and try again."


@pytest.mark.parametrize(
    ("urls", "what"),
    [
        (["https://host.invalid/a.png?size=1"], "https://host.invalid/a.png?size=1"),
        (["https://host.invalid/a.png"] * 2, "https://host.invalid/a.png"),
        (["https://host.invalid/a.png", "https://host.invalid/b.png"], "file"),
    ],
    ids=["one", "the same", "two"],
)
def test_an_image_that_claude_cannot_download_is_named_as_openai_does(
    client: OpenAI, urls: list[str], what: str
) -> None:
    refusal = simulate(status=400, error={"message": NOT_DOWNLOADED})
    parts: Any = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": [{"type": "text", "text": refusal}, *parts]}]
        )
    error = raised.value
    assert (error.code, error.param) == ("invalid_image_url", None)
    assert isinstance(error.body, dict)
    assert error.body["message"] == f"Error while downloading {what}. {NOT_DOWNLOADED}"
    images: Any = [{"type": "input_image", "image_url": url, "detail": "auto"} for url in urls]
    with pytest.raises(openai.BadRequestError) as raised:
        client.responses.create(
            model="gpt-4o", input=[{"role": "user", "content": [{"type": "input_text", "text": refusal}, *images]}]
        )
    error = raised.value
    assert (error.code, error.param) == ("invalid_value", "url")
    assert isinstance(error.body, dict)
    assert error.body["message"] == f"Error while downloading {what}. {NOT_DOWNLOADED}"


def test_an_image_in_a_tools_result_that_claude_cannot_download_is_named(client: OpenAI) -> None:
    call = {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"}
    image = {"type": "input_image", "image_url": "https://host.invalid/a.png"}
    error = {"message": "This URL is disallowed by the website's robots.txt file."}
    refusal = {"status": 400, "error": error, "times": 9}
    items: Any = [{"role": "user", "content": f"[[simulate: {json.dumps([refusal])}]]"}, call]
    items += [{"type": "function_call_output", "call_id": "call_1", "output": [image]}]
    with pytest.raises(openai.BadRequestError) as raised:
        client.responses.create(model="gpt-4o", input=items)
    assert "Error while downloading https://host.invalid/a.png. This URL is disallowed" in raised.value.message


def test_what_claude_refuses_keeps_its_words(client: OpenAI, claude: SimulatedUpstream) -> None:
    place: Any = {"type": "approximate", "approximate": {"country": "Switzerland"}}
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model="gpt-4o", messages=HELLO, web_search_options={"user_location": place})
    assert "user_location.country" in raised.value.message
    assert claude.calls[-1].status == 400


def test_E2_a_prompt_beyond_the_window_is_refused_in_truth(client: OpenAI, claude: SimulatedUpstream) -> None:
    messages: Any = [{"role": "user", "content": "word " * 500_000}]
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model="claude-haiku-4-5", messages=messages)
    assert raised.value.code == "context_length_exceeded"
    assert claude.calls[-1].status == 400


def test_E4_the_sdk_tries_again_when_retry_after_is_over(way: Way, claude: SimulatedUpstream) -> None:
    script = {"status": 429, "headers": {"retry-after": "1"}, "times": 1, "id": f"retry {way.name}"}
    began = time.monotonic()
    with way.client(max_retries=1) as client:
        completion = client.chat.completions.create(model="gpt-4o", messages=scripted(**script))
    assert completion.choices[0].message.content
    assert 0.95 < time.monotonic() - began < 15
    assert [entry.status for entry in claude.calls] == [429, 200]


def test_E4_a_rate_limit_names_its_time(client: OpenAI) -> None:
    script = {"status": 429, "headers": {"retry-after": "7"}, "error": {"message": "Too many tokens."}}
    with pytest.raises(openai.RateLimitError) as raised:
        client.chat.completions.create(model="gpt-4o", messages=scripted(**script))
    assert raised.value.response.headers["retry-after"] == "7"
    assert raised.value.response.headers["retry-after-ms"] == "7000"
    assert "Please try again in 7s." in raised.value.message


def test_a_spent_budget_is_never_tried_again(way: Way, claude: SimulatedUpstream) -> None:
    error = {"message": "Your credit balance is too low to access the Anthropic API."}
    with way.client(max_retries=3) as client, pytest.raises(openai.RateLimitError) as raised:
        client.chat.completions.create(model="gpt-4o", messages=scripted(status=400, error=error))
    assert raised.value.code == "insufficient_quota"
    assert len(claude.calls) == 1


TEXT = {"text": "One two " * 100}
"""Long enough to be broken off after 40 events, whether Claude thinks before it or not."""


@pytest.mark.parametrize(
    ("script", "code"),
    [({"error_after_events": 40}, "server_is_overloaded"), ({"cut_after_events": 40}, "upstream_broken")],
    ids=["S10_error", "S8_cut"],
)
def test_S8_S10_a_stream_that_breaks_is_raised_after_what_came(
    client: OpenAI, script: dict[str, Any], code: str
) -> None:
    stream = client.chat.completions.create(model="gpt-4o", messages=scripted(**TEXT, **script), stream=True)
    choices = []
    with pytest.raises(openai.APIError) as raised:
        choices.extend(chunk.choices[0] for chunk in stream)
    assert raised.value.code == code
    assert "".join(choice.delta.content or "" for choice in choices).startswith("One")
    assert all(choice.finish_reason is None for choice in choices)


async def test_S8_S10_the_async_stream_helper_raises_both(async_client: AsyncOpenAI) -> None:
    for script in ({"error_after_events": 40}, {"cut_after_events": 40}):
        with pytest.raises(openai.APIError):
            async with async_client.chat.completions.stream(
                model="gpt-4o", messages=scripted(**TEXT, **script)
            ) as stream:
                await stream.get_final_completion()


@pytest.mark.parametrize("script", [{"error_after_events": 40}, {"cut_after_events": 40}], ids=["error", "cut"])
def test_S7_S8_a_broken_stream_has_no_end_mark(way: Way, script: dict[str, Any]) -> None:
    body = {"model": "gpt-4o", "messages": scripted(**TEXT, **script), "stream": True}
    with way.http() as http:
        response = http.post("/chat/completions", json=body)
    assert response.status_code == 200
    assert "[DONE]" not in response.text
    assert '"finish_reason":"' not in response.text
    assert response.text.rstrip().splitlines()[-1].startswith('data: {"error":{"message":"')


@both_forms
def test_what_breaks_after_the_last_event_takes_nothing_away(way: Way, stream: bool) -> None:
    body = {"model": "gpt-4o", "messages": scripted(**TEXT, cut_after_events=1000), "stream": stream}
    with way.http() as http:
        response = http.post("/chat/completions", json=body)
    assert response.status_code == 200
    if stream:
        assert response.text.endswith("data: [DONE]\n\n")
    else:
        assert response.json()["choices"][0]["message"]["content"] == TEXT["text"]


@pytest.mark.parametrize("script", [{"error_after_events": 40}, {"cut_after_events": 40}], ids=["error", "cut"])
def test_a_whole_answer_that_breaks_is_an_error_with_a_status(client: OpenAI, script: dict[str, Any]) -> None:
    with pytest.raises(openai.InternalServerError) as raised:
        client.chat.completions.create(model="gpt-4o", messages=scripted(**TEXT, **script))
    assert raised.value.status_code in {502, 503}


def test_S8_an_answer_without_its_end_is_no_answer(client: OpenAI) -> None:
    events = events_of({"type": "text_delta", "text": "One"}, block={"type": "text", "text": ""})[:-2]
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(model="gpt-4o", messages=scripted(events=events))
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(model="gpt-4o", messages=scripted(events=events), stream=True))


def test_with_two_choices_one_failure_fails_the_answer(client: OpenAI) -> None:
    script = {"status": 529, "times": 1, "id": f"one of two {client.base_url}"}
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(model="gpt-4o", messages=scripted(**script), n=2)


async def test_a_wrong_key_for_claude_is_an_authentication_error(
    claude: SimulatedUpstream, contract_confdir: Path
) -> None:
    settings = load_settings({"claude": {"api_key": "sk-ant-invalid-key", "base_url": claude.base_url}})
    async with (
        run_proxy(settings, contract_confdir, f"{STANDALONE}@127.0.0.1:0") as proxy,
        AsyncOpenAI(
            base_url=f"http://127.0.0.1:{proxy.port}/v1",
            api_key="sk-proj-mine",
            max_retries=0,
            http_client=DefaultAsyncHttpx2Client(trust_env=False),
        ) as client,
    ):
        for stream in (False, True):
            with pytest.raises(openai.AuthenticationError) as raised:
                await client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=stream)
            assert raised.value.code == "invalid_api_key"
            # The app's developer must not think that it is the app's own key.
            assert "this proxy" in raised.value.message
            assert "sk-" not in raised.value.message
        with pytest.raises(openai.AuthenticationError):
            await client.models.list()


def test_an_unknown_path_of_the_standalone_endpoint_is_not_found(
    proxy: ProxyProcess, claude: SimulatedUpstream
) -> None:
    with proxy.way("base_url").client(max_retries=2) as client:
        calls: list[Any] = [
            partial(client.embeddings.create, model="text-embedding-3-small", input="x"),
            partial(client.images.generate, prompt="x"),
            client.vector_stores.list,
        ]
        for call in calls:
            with pytest.raises(openai.NotFoundError) as raised:
                call()
            assert raised.value.type == "invalid_request_error"
            assert "not served by Claude Proxy" in raised.value.message
    assert claude.journal == []


def test_the_error_of_an_unknown_path_is_json_with_its_type(proxy: ProxyProcess) -> None:
    way = proxy.way("base_url")
    with way.http() as http:
        response = http.get("/nowhere", headers=AUTHORIZATION)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/json"
    assert response.json()["error"].keys() == {"message", "type", "param", "code"}
