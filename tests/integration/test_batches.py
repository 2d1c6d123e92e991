"""/v1/batches with the stock client: upload, create, poll, download, cancel, list, with lines for each endpoint."""

import asyncio
import json
import time
from typing import Any

import openai
import pytest
from openai import AsyncAzureOpenAI, DefaultAsyncHttpx2Client
from openai.types import Completion
from openai.types.chat import ChatCompletion
from openai.types.responses import Response
from structlog.testing import capture_logs

from addon.simulated_claude.server import RunningSimulation
from tests.integration.batch_api import CHAT, chat, create, ended, line, lines_of, outcome, script, sent, upload
from tests.integration.responses_api import WEATHER, client_of, http_of
from tests.integration.running_proxy import RunningProxy


def created_at_claude(simulation: RunningSimulation) -> list[dict[str, Any]]:
    """The bodies of the batches that Claude was asked to make."""
    return [
        entry.body
        for entry in simulation.journal
        if (entry.method, entry.path) == ("POST", "/v1/messages/batches") and entry.body is not None
    ]


async def test_a_batch_goes_from_its_upload_to_its_download(proxy: RunningProxy, simulation: RunningSimulation) -> None:
    ids = [f"Anfrage Nr. {number} / é" * 5 for number in range(12)]
    with capture_logs() as logs:
        async with client_of(proxy) as client:
            made = await create(client, [line(id_, chat(f"Number {id_}")) for id_ in ids], metadata={"job": "nightly"})
            assert (made.object, made.status, made.endpoint) == ("batch", "validating", CHAT)
            assert made.expires_at == made.created_at + 24 * 3600
            batch = await ended(client, made.id)
            output, errors = await outcome(client, batch)
            file = await client.files.retrieve(batch.output_file_id or "")
    assert (batch.status, batch.model, batch.metadata) == ("completed", "gpt-4o", {"job": "nightly"})
    assert (batch.error_file_id, errors, batch.errors) == (None, [], None)
    counts = batch.request_counts
    assert counts is not None
    assert (counts.total, counts.completed, counts.failed) == (12, 12, 0)
    assert made.created_at <= batch.in_progress_at <= batch.finalizing_at <= batch.completed_at
    assert [answer["custom_id"] for answer in output] == ids
    assert file.purpose == "batch_output"
    completions = [ChatCompletion.model_validate(answer["response"]["body"]) for answer in output]
    for id_, answer, completion in zip(ids, output, completions, strict=True):
        assert (answer["error"], answer["response"]["status_code"]) == (None, 200)
        assert answer["id"].startswith("batch_req_")
        assert answer["response"]["request_id"].startswith("req_")
        assert id_ in (completion.choices[0].message.content or "")
        assert (completion.model, completion.object) == ("gpt-4o", "chat.completion")
    assert len({completion.id for completion in completions}) == 12
    usage = batch.usage
    assert usage is not None
    assert usage.output_tokens == sum(
        completion.usage.completion_tokens for completion in completions if completion.usage
    )
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    (body,) = created_at_claude(simulation)
    assert all("stream" not in request["params"] for request in body["requests"])
    (entry,) = [entry for entry in logs if entry["event"] == "batch"]
    assert (entry["status"], entry["completed"], entry["claude_model"]) == ("completed", 12, "claude-sonnet-5-5")
    assert entry["output_tokens"] == usage.output_tokens
    assert "Number" not in json.dumps(logs)


async def test_tokens_and_half_the_cost_are_counted(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client, http_of(proxy) as http:

        async def counted() -> dict[str, float]:
            text = (await http.get("/metrics")).text
            samples = (row.rpartition(" ") for row in text.splitlines() if row and not row.startswith("#"))
            return {name: float(value) for name, _, value in samples}

        await client.chat.completions.create(**chat("the same words"))
        before = await counted()
        batch = await ended(client, (await create(client, [line("a", chat("the same words"))])).id)
        after = await counted()
    assert batch.usage is not None
    tokens = 'claude_proxy_tokens_total{kind="output",model="claude-sonnet-5-5"}'
    cost = 'claude_proxy_cost_dollars_total{model="claude-sonnet-5-5"}'
    assert after[tokens] - before[tokens] == batch.usage.output_tokens == before[tokens]
    assert after[cost] - before[cost] == pytest.approx(before[cost] / 2)


async def test_one_bad_line_among_good_ones_is_an_entry_of_the_error_file(
    proxy: RunningProxy, simulation: RunningSimulation
) -> None:
    lines = [
        line("first", chat("one")),
        line("audio", chat("two", modalities=["audio"], audio={"voice": "alloy", "format": "wav"})),
        line("streamed", chat("three", stream=True)),
        line(
            "no file",
            chat("", messages=[{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-x"}}]}]),
        ),
        line("refused", chat(script(status=400, error={"message": "messages: no"}))),
        line("overloaded", chat(script(status=529, error={"message": "Overloaded"}))),
        line("last", chat("four")),
    ]
    async with client_of(proxy) as client:
        batch = await ended(client, (await create(client, lines)).id)
        output, errors = await outcome(client, batch)
    assert batch.status == "completed"
    counts = batch.request_counts
    assert counts is not None
    assert (counts.total, counts.completed, counts.failed) == (7, 2, 5)
    assert [answer["custom_id"] for answer in output] == ["first", "last"]
    said = {entry["custom_id"]: entry["response"] for entry in errors}
    assert list(said) == ["audio", "streamed", "no file", "refused", "overloaded"]
    assert [entry["error"] for entry in errors] == [None] * 5
    assert [response["status_code"] for response in said.values()] == [400, 400, 400, 400, 503]
    assert said["streamed"]["body"]["error"]["code"] == "streaming_unsupported"
    assert "No such File object: file-x" in said["no file"]["body"]["error"]["message"]
    assert said["refused"]["body"]["error"]["message"] == "messages: no"
    (body,) = created_at_claude(simulation)
    assert len(body["requests"]) == 4


async def test_tools_structured_output_choices_files_and_stop_strings_come_as_live(proxy: RunningProxy) -> None:
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "string"}},
        "required": ["answer"],
        "additionalProperties": False,
    }
    async with client_of(proxy) as client:
        file = await client.files.create(file=("note.txt", b"A note."), purpose="user_data")
        parts = [{"type": "text", "text": "Read"}, {"type": "file", "file": {"file_id": file.id}}]
        bodies = {
            "tool": chat("use get_weather", tools=[{"type": "function", "function": {**WEATHER, "type": None}}]),
            "schema": chat(
                "Say",
                response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": schema, "strict": True}},
            ),
            "choices": chat("Say it twice", n=2),
            "file": chat("", messages=[{"role": "user", "content": parts}]),
            "stop": chat(script(text="one\n\ntwo"), stop=["\n\n"]),
            "refusal": chat(
                script(content=[], stop_reason="refusal", stop_details={"type": "refusal", "category": "cyber"})
            ),
        }
        del bodies["tool"]["tools"][0]["function"]["type"]
        batch = await ended(client, (await create(client, [line(name, body) for name, body in bodies.items()])).id)
        output, errors = await outcome(client, batch)
        live = {name: await client.chat.completions.create(**body) for name, body in bodies.items()}
    assert errors == []
    assert [answer["custom_id"] for answer in output] == list(bodies)
    for answer in output:
        batched = ChatCompletion.model_validate(answer["response"]["body"])
        expected = live[answer["custom_id"]]
        assert [choice.to_dict() for choice in batched.choices] == [choice.to_dict() for choice in expected.choices]
        assert batched.usage is not None
        assert expected.usage is not None
        if answer["custom_id"] != "stop":  # a live answer is given up there, and costs no more
            assert batched.usage.completion_tokens == expected.usage.completion_tokens
    assert live["tool"].choices[0].finish_reason == "tool_calls"
    assert len(live["choices"].choices) == 2
    assert live["stop"].choices[0].message.content == "one"


async def test_a_turn_that_paused_is_named_as_what_it_is(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        paused = script(content=[{"type": "text", "text": "Let me"}], stop_reason="pause_turn")
        batch = await ended(client, (await create(client, [line("p", chat(paused)), line("q", chat("Hi"))])).id)
        output, errors = await outcome(client, batch)
    assert [answer["custom_id"] for answer in output] == ["q"]
    assert errors[0]["response"]["body"]["error"]["code"] == "incomplete_turn"
    assert batch.usage is not None
    assert batch.usage.output_tokens > output[0]["response"]["body"]["usage"]["completion_tokens"]


async def test_responses_go_on_from_what_is_stored_and_are_stored(proxy: RunningProxy) -> None:
    url = "/v1/responses"
    async with client_of(proxy) as client:
        first = await client.responses.create(model="gpt-5.5", input="My name is Ada.")
        conversation = await client.conversations.create()
        bodies = [
            {"input": "And now?", "previous_response_id": first.id},
            {"input": "In a conversation", "conversation": conversation.id},
            {"input": "Not kept", "store": False},
            {"input": "In the background", "background": True},
            {"input": "On from nothing", "previous_response_id": "resp_none"},
        ]
        lines = [line(str(index), {"model": "gpt-5.5", **body}, url) for index, body in enumerate(bodies)]
        made = await create(client, lines, url)
        await sent(client, made.id)
        await client.responses.delete(first.id)
        batch = await ended(client, made.id)
        output, errors = await outcome(client, batch)
        assert [answer["custom_id"] for answer in output] == ["0", "1", "2"]
        responses = [Response.model_validate(answer["response"]["body"]) for answer in output]
        assert [response.status for response in responses] == ["completed"] * 3
        assert responses[0].previous_response_id == first.id
        for response in responses[:2]:
            stored = await client.responses.retrieve(response.id)
            assert stored.output_text == response.output_text
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(responses[2].id)
        listed = await client.conversations.items.list(conversation.id, order="asc")
        assert [item.type for item in listed.data if item.type != "reasoning"] == ["message", "message"]
        goes_on = await client.responses.create(model="gpt-5.5", input="More", previous_response_id=responses[1].id)
        assert goes_on.status == "completed"
    codes = {entry["custom_id"]: entry["response"]["body"]["error"]["code"] for entry in errors}
    assert codes == {"3": "unsupported_parameter", "4": "previous_response_not_found"}


async def test_completions_of_several_prompts_come_as_live(proxy: RunningProxy, simulation: RunningSimulation) -> None:
    url = "/v1/completions"
    body = {"model": "gpt-3.5-turbo-instruct", "prompt": ["Once", "Twice"], "n": 2, "echo": True, "max_tokens": 40}
    tokens = {"model": "gpt-3.5-turbo-instruct", "prompt": [[1, 2]]}
    async with client_of(proxy) as client:
        batch = await ended(client, (await create(client, [line("a", body, url), line("b", tokens, url)], url)).id)
        output, errors = await outcome(client, batch)
        live = await client.completions.create(**body)
    completion = Completion.model_validate(output[0]["response"]["body"])
    assert [choice.to_dict() for choice in completion.choices] == [choice.to_dict() for choice in live.choices]
    assert [choice.index for choice in completion.choices] == [0, 1, 2, 3]
    assert errors[0]["response"]["status_code"] == 400
    (sent,) = created_at_claude(simulation)
    assert len(sent["requests"]) == 4


async def test_stored_completions_of_a_batch_are_found(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        made = await create(client, [line("a", chat("Keep this", store=True, metadata={"batch": "yes"}))])
        batch = await ended(client, made.id)
        output, _ = await outcome(client, batch)
        listed = [stored async for stored in client.chat.completions.list(metadata={"batch": "yes"})]
    assert [stored.id for stored in listed] == [output[0]["response"]["body"]["id"]]


@pytest.mark.parametrize(
    ("lines", "errors"),
    [
        ([""], [("empty_file", None, "input_file_id")]),
        (["{}"], [("missing_required_parameter", 1, "custom_id")]),
        (["nonsense", line("a", chat("x"))], [("invalid_json_line", 1, None)]),
        ([line("a", chat("x")), line("a", chat("y"))], [("duplicate_custom_id", 2, "custom_id")]),
        ([line("a", chat("x"), "/v1/responses")], [("invalid_url", 1, "url")]),
        ([line("a", chat("x")), line("b", chat("y", model="gpt-5"))], [("model_mismatch", 2, "body.model")]),
    ],
    ids=["empty", "no_custom_id", "no_json", "twice", "other_url", "other_model"],
)
async def test_a_wrong_file_makes_the_whole_batch_fail(
    proxy: RunningProxy, simulation: RunningSimulation, lines: list[Any], errors: list[Any]
) -> None:
    async with client_of(proxy) as client:
        file = await client.files.create(
            file=(
                "in.jsonl",
                "\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines).encode() + b"\n",
            ),
            purpose="batch",
        )
        made = await client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
        batch = await ended(client, made.id)
    assert batch.status == "failed"
    assert batch.failed_at is not None
    assert batch.errors is not None
    assert batch.errors.object == "list"
    assert [(error.code, error.line, error.param) for error in batch.errors.data or ()] == errors
    assert (batch.output_file_id, batch.error_file_id) == (None, None)
    assert created_at_claude(simulation) == []


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"input_file_id": "file-none"}, "input_file_id"),
        ({"endpoint": "/v1/embeddings"}, "endpoint"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"metadata": {"a": ["b"]}}, "metadata"),
        ({"metadata": {"a": "b" * 513}}, "metadata.a"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 60}}, "output_expires_after.seconds"),
    ],
    ids=["unknown_file", "embeddings", "window", "metadata_type", "metadata_length", "expiry"],
)
async def test_a_wrong_parameter_is_a_400(proxy: RunningProxy, changes: dict[str, Any], param: str) -> None:
    async with client_of(proxy) as client:
        body = {"input_file_id": await upload(client, [line("a", chat("x"))]), "endpoint": CHAT}
        with pytest.raises(openai.BadRequestError) as refused:
            await client.batches.create(**{**body, "completion_window": "24h", **changes})
    assert str(refused.value.param).startswith(param)


async def test_a_file_for_something_else_is_refused(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        file = await client.files.create(file=("in.jsonl", b"{}"), purpose="user_data")
        with pytest.raises(openai.BadRequestError, match="purpose") as refused:
            await client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
    assert refused.value.param == "input_file_id"


async def test_the_input_may_be_deleted_once_the_batch_is_made(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        made = await create(client, [line("a", chat("x"))])
        await client.files.delete(made.input_file_id)
        batch = await ended(client, made.id)
        output, _ = await outcome(client, batch)
    assert [answer["custom_id"] for answer in output] == ["a"]


async def test_a_batch_is_cancelled_and_says_which_requests_were_not_made(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        made = await create(client, [line("quick", chat("x")), line("slow", chat(script(delay=60, text="late")))])
        await sent(client, made.id)
        await asyncio.sleep(0.6)  # Claude has answered the quick one by then
        cancelled = await client.batches.cancel(made.id)
        assert cancelled.status in {"cancelling", "cancelled"}
        assert cancelled.cancelling_at is not None
        batch = await ended(client, made.id)
        output, errors = await outcome(client, batch)
        with pytest.raises(openai.ConflictError, match="Cannot cancel a batch with status 'cancelled'"):
            await client.batches.cancel(made.id)
    assert batch.status == "cancelled"
    assert batch.cancelled_at is not None
    assert [answer["custom_id"] for answer in output] == ["quick"]
    assert [(entry["custom_id"], entry["response"], entry["error"]["code"]) for entry in errors] == [
        ("slow", None, "batch_cancelled")
    ]


async def test_requests_that_expire_are_said_to(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        made = await create(client, [line("late", chat(script(batch_result="expired"))), line("fine", chat("x"))])
        batch = await ended(client, made.id)
        output, errors = await outcome(client, batch)
    assert (batch.status, batch.completed_at) == ("expired", None)
    assert batch.expired_at is not None
    assert [answer["custom_id"] for answer in output] == ["fine"]
    assert [(entry["custom_id"], entry["error"]["code"]) for entry in errors] == [("late", "batch_expired")]


async def test_batches_are_listed_newest_first_in_pages(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        made = [(await create(client, [line("a", chat("x"))])).id for _ in range(3)]
        assert [batch.id async for batch in client.batches.list(limit=2)] == made[::-1]
        page = await client.batches.list(after=made[2], limit=1)
        assert [batch.id for batch in page.data] == [made[1]]
        assert page.has_more
        with pytest.raises(openai.BadRequestError):
            await client.batches.list(limit=101)
        async with asyncio.timeout(60):
            while {batch.status async for batch in client.batches.list()} != {"completed"}:
                await asyncio.sleep(0.05)


async def test_nothing_of_one_key_is_found_with_another(proxy: RunningProxy) -> None:
    async with client_of(proxy) as one, client_of(proxy, "sk-two") as two:
        batch = await ended(one, (await create(one, [line("a", chat("secret"))])).id)
        for attempt in (two.batches.retrieve(batch.id), two.batches.cancel(batch.id)):
            with pytest.raises(openai.NotFoundError, match=f"No batch found with id '{batch.id}'"):
                await attempt
        assert [other async for other in two.batches.list()] == []
        with pytest.raises(openai.NotFoundError):
            await lines_of(two, batch.output_file_id)
        with pytest.raises(openai.BadRequestError, match="No such File"):
            await two.batches.create(input_file_id=batch.input_file_id, endpoint=CHAT, completion_window="24h")


async def test_azures_client_and_its_paths_are_served(proxy: RunningProxy) -> None:
    async with AsyncAzureOpenAI(
        azure_endpoint=f"http://127.0.0.1:{proxy.port}",
        api_key="sk-azure",
        api_version="2025-04-01-preview",
        http_client=DefaultAsyncHttpx2Client(trust_env=False),
        max_retries=0,
    ) as client:
        made = await create(client, [line("a", chat("x"), "/chat/completions")], "/chat/completions")
        batch = await ended(client, made.id)
        output, _ = await outcome(client, batch)
    assert (batch.status, batch.endpoint) == ("completed", "/chat/completions")
    assert [answer["custom_id"] for answer in output] == ["a"]


async def test_what_lines_lose_on_their_way_is_said_with_the_batch(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        made = await create(client, [line("a", chat("x", seed=1)), line("b", chat("y", logit_bias={"1": 2}))])
        await ended(client, made.id)
        raw = await client.batches.with_raw_response.retrieve(made.id)
    assert "seed" in raw.headers["x-claude-proxy-warnings"]
    assert "logit_bias" in raw.headers["x-claude-proxy-warnings"]


async def test_output_expires_when_it_is_told_to(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        expiry: Any = {"anchor": "created_at", "seconds": 3600}
        batch = await ended(client, (await create(client, [line("a", chat("x"))], output_expires_after=expiry)).id)
        file = await client.files.retrieve(batch.output_file_id or "")
    assert file.expires_at == file.created_at + 3600
    assert abs(file.created_at - time.time()) < 60
