"""Claude's last event is the end of an answer, whatever becomes of the rest of its body: later, never, or too much."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from addon.configuration.settings import load_settings
from tests.faults.encodings import GOOD_ANSWER, TRANSLATED, Encoding, name_of
from tests.faults.http1_client import Http1Client
from tests.faults.leftovers import nothing_left
from tests.faults.logged import exchanges_in
from tests.integration.raw_upstream import Call, RawUpstream, Script, raw_upstream
from tests.integration.responses_api import REVERSE
from tests.integration.running_proxy import ProxyStarter, RunningProxy
from tests.lived_time import within

END = b"0\r\n\r\n"
LAST_EVENT = GOOD_ANSWER.removesuffix(END)


async def never_ends(call: Call) -> None:
    await call.send(LAST_EVENT)


async def goes_on_without_end(call: Call) -> None:
    await call.send(LAST_EVENT)
    while True:
        await call.send(b"e\r\n: more of it\n\n\r\n")
        await asyncio.sleep(0.001)


@pytest.fixture
async def upstream(request: pytest.FixtureRequest) -> AsyncIterator[RawUpstream]:
    script: Script = request.param
    async with raw_upstream(script) as running:
        yield running


@pytest.fixture(params=["off", "on"], ids=["without-cache", "with-cache"])
async def proxy(
    start_proxy: ProxyStarter, upstream: RawUpstream, request: pytest.FixtureRequest
) -> AsyncIterator[RunningProxy]:
    """Claude may be silent for ten minutes here: who waits for the end of a body, waits for that long."""
    sections: dict[str, Any] = {
        "claude": {"api_key": "k", "base_url": upstream.base_url, "max_retries": 0},
        "store": {"path": ":memory:"},
        "cache": {"mode": request.param},
    }
    async with start_proxy(REVERSE, settings=load_settings(sections)) as running, nothing_left(running, upstream):
        yield running


@pytest.mark.parametrize(
    ("upstream", "encoding"),
    [*((never_ends, encoding) for encoding in TRANSLATED), (goes_on_without_end, TRANSLATED[0])],
    indirect=["upstream"],
    ids=name_of,
)
async def test_an_answer_whose_body_never_ends_is_whole_and_its_connection_is_closed(
    proxy: RunningProxy, upstream: RawUpstream, encoding: Encoding
) -> None:
    client = await Http1Client.connect(proxy.port)
    for number in range(2):
        body = {**encoding.body, "user": str(number)}
        assert encoding.text(await client.ask(encoding.path, body)) == "all is well"
    for call in upstream.calls:
        await within(5, call.hung_up.wait())
    await client.close()


@pytest.mark.parametrize("encoding", TRANSLATED, ids=name_of)
@pytest.mark.parametrize("upstream", [never_ends], indirect=True)
async def test_an_answer_whose_body_ends_later_is_whole_before_and_its_connection_is_used_again(
    proxy: RunningProxy, upstream: RawUpstream, encoding: Encoding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("addon.claude.body._END_SECONDS", 30.0)
    client = await Http1Client.connect(proxy.port)
    assert encoding.text(await client.ask(encoding.path, encoding.body)) == "all is well"
    first = upstream.calls[0]
    await first.send(END)
    await asyncio.sleep(0.05)
    assert encoding.text(await client.ask(encoding.path, {**encoding.body, "user": "another"})) == "all is well"
    assert [call.writer is first.writer for call in upstream.calls] == [True, True]
    await client.close()


@pytest.mark.parametrize("encoding", TRANSLATED[:2], ids=name_of)
@pytest.mark.parametrize("upstream", [never_ends], indirect=True)
async def test_a_client_that_leaves_between_the_last_event_and_the_end_has_its_answer_and_leaves_nothing(
    proxy: RunningProxy, upstream: RawUpstream, encoding: Encoding, capsys: pytest.CaptureFixture[str]
) -> None:
    client = await Http1Client.connect(proxy.port)
    assert encoding.text(await client.ask(encoding.path, encoding.body)) == "all is well"
    assert not upstream.calls[0].hung_up.is_set()
    await client.close()
    await within(5, upstream.calls[0].hung_up.wait())
    [exchange] = exchanges_in(capsys)
    assert (exchange["outcome"], exchange["output_tokens"]) == ("ok", 5)
