"""Scripts: from a header, from the user's words, from a file; answers, faults on the wire, pacing."""

import asyncio
import json
import time
from typing import Any

import aiohttp
import anthropic
import pytest

from addon.simulated_claude.scripts import Scripts
from addon.simulated_claude.server import SimulationSettings, start


def request(words: str = "hi", **changes: Any) -> dict[str, Any]:
    return {"model": "claude-opus-4-8", "max_tokens": 1000, "messages": [{"role": "user", "content": words}], **changes}


def by_header(**script: Any) -> dict[str, str]:
    return {"x-simulate": json.dumps(script)}


async def test_a_header_scripts_the_text(client):
    message = await client.messages.create(**request(), extra_headers=by_header(text="As you wish."))
    assert [block.text for block in message.content] == ["As you wish."]


async def test_the_users_words_script_the_text_and_are_not_quoted(client):
    message = await client.messages.create(**request('x [[simulate: {"text": "As you wish."}]] y'))
    assert message.content[0].text == "As you wish."
    nested = request('[[simulate: {"content": [{"type": "tool_use", "name": "f", "input": {"a": [[{"b": "]]"}]]}}]}]]')
    assert (await client.messages.create(**nested)).content[0].input == {"a": [[{"b": "]]"}]]}
    plain = await client.messages.create(**request('said [[simulate: {"delay": 0}]] thus'))
    assert "simulate:" not in plain.content[0].text


async def test_a_list_scripts_the_calls_that_follow_from_a_text(client):
    call = {"content": [{"type": "tool_use", "name": "f", "input": {"a": 1}}]}
    words = f"x [[simulate: {json.dumps([call, {'text': 'Done.', 'times': 2}])}]]"
    messages: list[dict[str, Any]] = [{"role": "user", "content": words}]
    first = await client.messages.create(**request(messages=messages))
    result = {"type": "tool_result", "tool_use_id": first.content[0].id, "content": "1"}
    messages += [first.to_param(), {"role": "user", "content": [result]}]
    said = [(await client.messages.create(**request(messages=messages))).content[0].text for _ in range(3)]
    assert said[:2] == ["Done.", "Done."]
    assert said[2].startswith("The tools answered:")


async def test_a_later_text_has_its_own_script(client):
    earlier = [
        {"role": "user", "content": '[[simulate: [{"text": "One."}, {"text": "Two."}]]]'},
        {"role": "assistant", "content": "One."},
    ]
    later = [*earlier, {"role": "user", "content": '[[simulate: {"text": "Three."}]]'}]
    assert (await client.messages.create(**request(messages=later))).content[0].text == "Three."


async def test_content_is_answered_verbatim_with_missing_ids_and_signatures_made(client):
    content = [
        {"type": "thinking", "thinking": "Hm."},
        {"type": "redacted_thinking"},
        {"type": "text", "text": "So."},
        {"type": "tool_use", "name": "f", "input": {"a": 1}},
    ]
    asked = request(model="claude-opus-5-5")
    message = await client.messages.create(**asked, extra_headers=by_header(content=content))
    assert [block.type for block in message.content] == ["thinking", "redacted_thinking", "text", "tool_use"]
    assert message.content[3].input == {"a": 1}
    assert message.stop_reason == "tool_use"
    result = {"type": "tool_result", "tool_use_id": message.content[3].id, "content": "1"}
    again = [*asked["messages"], message.to_param(), {"role": "user", "content": [result]}]
    assert (await client.messages.create(**{**asked, "messages": again})).stop_reason == "end_turn"


async def test_stop_reasons_and_details_can_be_scripted(client):
    details = {"type": "refusal", "category": "cyber", "explanation": "No."}
    script = by_header(content=[], stop_reason="refusal", stop_details=details)
    message = await client.messages.create(**request(), extra_headers=script)
    assert (message.content, message.stop_reason, message.stop_details.category) == ([], "refusal", "cyber")
    paused = await client.messages.create(**request(), extra_headers=by_header(stop_reason="pause_turn"))
    assert paused.stop_reason == "pause_turn"


async def test_events_and_raw_bytes_are_sent_verbatim(http):
    lines = 'event: message_stop\ndata: {"type":"message_stop"  }'
    events = [{"type": "ping", "unknown": 1}, lines]
    async with http.post("/v1/messages", json=request(), headers=by_header(events=events)) as response:
        assert await response.text() == f'event: ping\ndata: {{"type":"ping","unknown":1}}\n\n{lines}\n\n'
    async with http.post("/v1/messages", json=request(), headers=by_header(raw="<html>")) as response:
        assert await response.text() == "<html>"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, "rate_limit_error"), (500, "api_error"), (529, "overloaded_error"), (402, "billing_error")],
)
async def test_http_errors_have_claudes_envelope(http, status, kind):
    script = by_header(
        status=status, error={"message": "M", "details": {"error_code": "x"}}, headers={"retry-after": "7"}
    )
    async with http.post("/v1/messages", json=request(), headers=script) as response:
        body = await response.json()
        assert response.status == status
        assert response.headers["retry-after"] == "7"
        assert response.headers["x-should-retry"] == ("true" if status in {429, 500, 529} else "false")
        assert body["request_id"] == response.headers["request-id"]
    assert body["type"] == "error"
    assert body["error"] == {"type": kind, "message": "M", "details": {"error_code": "x"}}


async def test_times_limits_a_fault_to_the_first_requests(simulation):
    async with anthropic.AsyncAnthropic(api_key="k", base_url=simulation.base_url, max_retries=2) as client:
        script = {"status": 529, "times": 2, "headers": {"retry-after-ms": "1"}}
        message = await client.messages.create(**request(), extra_headers=by_header(**script))
    assert message.stop_reason == "end_turn"
    assert [entry.status for entry in simulation.journal] == [529, 529, 200]


async def test_an_error_event_comes_in_mid_stream(http):
    script = by_header(error_after_events=3, error={"type": "overloaded_error", "message": "Overloaded"})
    async with http.post("/v1/messages", json=request(stream=True), headers=script) as response:
        records = (await response.text()).strip().split("\n\n")
    assert len(records) == 4
    assert records[3].startswith('event: error\ndata: {"type":"error","error":{"type":"overloaded_error"')


@pytest.mark.parametrize("after", [0, 3, 10_000])
async def test_a_cut_resets_the_connection_after_so_many_events(simulation, http, after):
    script = by_header(cut_after_events=after)
    received, broken = b"", False
    async with http.post("/v1/messages", json=request(stream=True), headers=script) as response:
        try:
            async for chunk in response.content.iter_any():
                received += chunk
        except aiohttp.ClientError:
            broken = True
    assert broken
    assert (simulation.journal[0].finished, simulation.journal[0].left_after) == (True, None)
    if after == 10_000:
        assert received.endswith(b'data: {"type":"message_stop"}\n\n')
    else:
        assert received.count(b"\n\n") == after


async def test_a_whole_answer_can_be_cut_too(http):
    async with http.post("/v1/messages", json=request(), headers=by_header(cut_after_events=0)) as response:
        with pytest.raises(aiohttp.ClientError):
            await response.read()


async def test_a_stall_holds_the_stream_and_may_ping(http):
    script = by_header(stall_after_events=3, stall_seconds=0.2, ping_interval=0.06)
    began = time.monotonic()
    async with http.post("/v1/messages", json=request(stream=True), headers=script) as response:
        text = await response.text()
    assert time.monotonic() - began >= 0.2
    assert text.count("event: ping") == 1 + 3
    assert text.endswith('"message_stop"}\n\n')


async def test_delay_and_interval_pace_an_answer(http):
    began = time.monotonic()
    script = by_header(delay=0.1, event_interval=0.01, text="a b c d e f g h")
    async with http.post("/v1/messages", json=request(stream=True), headers=script) as response:
        headers_after = time.monotonic() - began
        await response.read()
    assert headers_after >= 0.1
    assert time.monotonic() - began >= 0.1 + 0.01 * 8


async def test_chunk_bytes_cuts_the_bytes_and_changes_nothing(client):
    script = by_header(chunk_bytes=7, text="Grüße, 世界")
    async with client.messages.stream(**request(), extra_headers=script) as stream:
        assert (await stream.get_final_message()).content[0].text == "Grüße, 世界"


async def test_scripts_do_not_excuse_an_invalid_request(client):
    with pytest.raises(anthropic.BadRequestError, match="temperature: Extra inputs"):
        await client.messages.create(**request(), extra_body={"temperature": 1}, extra_headers=by_header(text="x"))


@pytest.mark.parametrize(
    "script",
    [
        {"status": 99},
        {"status": 99_999},
        {"times": -1},
        {"chunk_bytes": 0},
        {"chunk_bytes": -1},
        {"headers": {"x-a": "b\r\nc: d"}},
        {"headers": {"x a": "b"}},
        {"content": [{}]},
        {"events": [{}]},
    ],
    ids=str,
)
async def test_a_script_that_cannot_be_played_is_refused(client, script):
    with pytest.raises(anthropic.BadRequestError, match="not a script of the simulated Claude"):
        await client.messages.create(**request(), extra_headers=by_header(**script))


async def test_a_raw_body_has_the_scripted_status(http):
    script = by_header(raw="<html>Bad gateway</html>", status=502, headers={"content-type": "text/html"})
    async with http.post("/v1/messages", json=request(), headers=script) as response:
        assert (response.status, response.content_type) == (502, "text/html")
        assert await response.text() == "<html>Bad gateway</html>"


@pytest.mark.timeout(60)
async def test_a_script_may_be_good_for_more_calls_than_anybody_makes():
    scripts = Scripts([])
    text = '[[simulate: [{"text": "a", "times": 2}, {"text": "b", "times": 1000000000000}]]]'
    assert [scripts.find(None, [text]).text for _ in range(4)] == ["a", "a", "b", "b"]


async def test_a_script_that_cannot_be_read_is_named(client):
    with pytest.raises(anthropic.BadRequestError, match="x-simulate: not a script"):
        await client.messages.create(**request(), extra_headers={"x-simulate": '{"txt": 1}'})
    with pytest.raises(anthropic.BadRequestError, match="not a script"):
        await client.messages.create(**request("[[simulate: {oops}]]"))


async def test_a_file_scripts_by_match_and_in_order(tmp_path):
    path = tmp_path / "script.json"
    path.write_text(
        json.dumps([{"match": "weather", "text": "Sunny."}, {"text": "First."}, {"text": "Second.", "times": 2}])
    )
    running = await start(settings=SimulationSettings.instant(path))
    said = []
    async with anthropic.AsyncAnthropic(api_key="k", base_url=running.base_url) as client:
        for words in ("a", "the weather", "b", "c", "the weather", "d"):
            message = await client.messages.create(**request(words))
            said.append(message.content[0].text.split(" (")[0])
    await running.close()
    assert said[:5] == ["First.", "Sunny.", "Second.", "Second.", "Sunny."]
    assert said[5].startswith('You wrote "d"')


def test_a_file_that_holds_no_scripts_is_refused(tmp_path):
    path = tmp_path / "script.json"
    path.write_text('[{"txt": "x"}]')
    with pytest.raises(ValueError, match="not a list of scripts"):
        Scripts.read(path)


async def left(simulation):
    """Wait until the first client has left; give what is known of its request."""
    async with asyncio.timeout(60):
        while simulation.journal[0].left_after is None:
            await asyncio.sleep(0.01)
    return simulation.journal[0]


async def test_a_client_that_leaves_is_noticed_at_once(simulation, http):
    script = by_header(stall_after_events=2, stall_seconds=30)
    async with http.post("/v1/messages", json=request(stream=True), headers=script) as response:
        await response.content.readany()
        response.close()
    entry = await left(simulation)
    assert entry.left_after < 15
    assert (entry.finished, entry.events_sent) == (False, 2)


async def test_a_client_that_leaves_before_the_first_byte_is_noticed(simulation, http):
    asking = asyncio.ensure_future(http.post("/v1/messages", json=request(), headers=by_header(delay=30)))
    async with asyncio.timeout(20):
        while not simulation.journal:
            await asyncio.sleep(0.01)
    asking.cancel()
    entry = await left(simulation)
    assert entry.left_after < 15
    assert entry.status is None


async def test_counting_tokens_can_fail_by_script(client):
    with pytest.raises(anthropic.OverloadedError):
        await client.messages.count_tokens(
            model="claude-opus-5", messages=request()["messages"], extra_headers=by_header(status=529)
        )
