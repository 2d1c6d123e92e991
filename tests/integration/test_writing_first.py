"""Requests that are received, and answers that are written, before mitmproxy's layers have carried them.

What the client gets, and what follows, is what the layers themselves make of it.
"""

import asyncio
import json
import re

import pytest
from mitmproxy import http

from tests.integration.running_proxy import ProxyStarter, RunningProxy

REVERSE = "reverse:http://standalone.claude-proxy.invalid@127.0.0.1:0"


class Listening:
    """Looks at answers before they are sent, and so must see them first."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        self.seen.append(f"head {flow.response.status_code}")

    def response(self, flow: http.HTTPFlow) -> None:
        self.seen.append(f"end {flow.response.status_code}")


def post(
    text: str = "hi",
    version: str = "1.1",
    headers: str = "",
    path: str = "/v1/chat/completions",
    spaces: int = 0,
    **more: object,
) -> bytes:
    body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **more}).encode()
    head = f"POST {path} HTTP/{version}\r\nhost: x\r\ncontent-length: {len(body) + spaces}\r\n{headers}\r\n"
    return head.encode() + b" " * spaces + body


def simulated(**options: object) -> str:
    return f"[[simulate: {json.dumps(options)}]]"


SAME = simulated(text="The same text each time. ")
TELLING = re.compile(
    rb"(?im)^(x-request-id|openai-processing-ms|(?:x|anthropic)-ratelimit-[a-z-]+|retry-after|date): .*\r\n"
    rb'|"(?:id|created|request_id)":\s*(?:"[^"]*"|\d+)|req_\w+|"[a-z_]*seconds[a-z_]*":[\d.]+'
)
"""What is another each time."""
FRAMES = re.compile(rb"(?:\r\n)?(?<=\r\n)[0-9a-f]+\r\n")
"""Of chunks, which go together as they happen to come."""

SILENCE = 2.0
LAST = b"connection: close\r\n"


def closing(request: bytes) -> bytes:
    return request.replace(b"host: x\r\n", b"host: x\r\n" + LAST, 1)


async def answers_to(proxy: RunningProxy, *sent: bytes) -> bytes:
    """Send something piece by piece; return all that comes until the connection ends, or nothing comes any more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    for piece in sent:
        writer.write(piece)
        await asyncio.sleep(0.05)
    received = b""
    try:
        while data := await asyncio.wait_for(reader.read(65536), SILENCE):
            received += data
    except TimeoutError:  # it waits for the rest of a request that it has refused
        pass
    finally:
        writer.close()
    return received


SCENES = {
    "whole": [closing(post(SAME))],
    "stream": [closing(post(SAME, stream=True))],
    "one_after_another": [post(SAME), post(SAME, stream=True), post(SAME), closing(post(SAME))],
    "sent_ahead": [post(SAME) + post(SAME, stream=True) + post(SAME) + closing(post(SAME))],
    "old_whole": [post(SAME, version="1.0")],
    "old_stream": [post(SAME, version="1.0", stream=True)],
    "head": [
        b"HEAD /v1/models HTTP/1.1\r\nhost: x\r\n\r\n" + closing(b"GET /v1/models/gpt-4o HTTP/1.1\r\nhost: x\r\n\r\n")
    ],
    "unknown_path": [post(path="/v1/unknown") + closing(post(SAME))],
    "wrong_body": [post(temperature="hot") + closing(post(SAME))],
    "refused_before_its_body": [
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n" + LAST + b"\r\n{"
    ],
    "expecting": [closing(post(SAME, headers="expect: 100-continue\r\n"))],
    "expecting_after_another": [
        post(SAME),
        post(SAME, stream=True, headers="expect: 100-continue\r\n").partition(b"\r\n\r\n")[0] + b"\r\n\r\n",
        post(SAME, stream=True, headers="expect: 100-continue\r\n").partition(b"\r\n\r\n")[2] + closing(post(SAME)),
    ],
    "endless_length": [post(SAME) + post(SAME).replace(b"content-length: ", b"content-length: " + b"0" * 5000, 1)],
    "two_lengths": [post(SAME) + post(SAME, headers="content-length: 5\r\n")],
    "refused_by_claude": [post(simulated(status=529, error={})), closing(post(simulated(status=400, error={})))],
    "refused_in_the_stream": [closing(post(simulated(text="a b c d", error={}, error_after_events=4), stream=True))],
    "body_in_pieces": [closing(post(SAME))[:-5], closing(post(SAME))[-5:]],
    "with_an_upgrade": [closing(post(SAME, headers="connection: upgrade, http2-settings\r\nupgrade: h2c\r\n"))],
    "get_with_a_body": [closing(post(SAME).replace(b"POST /v1/chat/completions", b"GET /v1/models"))],
    "no_body": [b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n" + LAST + b"\r\n"],
    "more_after_the_last": [closing(post(SAME)) + b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"],
    "large_head": [closing(post(SAME, headers=f"x-large: {'x' * 40_000}\r\n"))],
    "larger_than_a_read": [closing(post(SAME, spaces=200_000))],
    "chunked": [
        b"POST /v1/models HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n" + LAST + b"\r\n2\r\n{}\r\n0\r\n\r\n"
    ],
    "anthropic": [
        closing(post(SAME, path="/v1/messages", headers="anthropic-version: 2023-06-01\r\n", max_tokens=50)),
        closing(
            post(SAME, path="/v1/messages", headers="anthropic-version: 2023-06-01\r\n", max_tokens=50, stream=True)
        ),
    ],
}


@pytest.mark.parametrize("scene", SCENES)
async def test_the_bytes_are_those_of_the_layers(
    start_proxy: ProxyStarter, caplog: pytest.LogCaptureFixture, scene: str
) -> None:
    received = []
    for listening in (None, Listening()):
        async with start_proxy(REVERSE) as proxy:
            if listening is not None:
                proxy.master.addons.add(listening)
            received.append(await answers_to(proxy, *SCENES[scene]))
            assert proxy.addon._exchanges == {}
            assert listening is None or listening.seen
    ours, theirs = [FRAMES.sub(b"", TELLING.sub(b"", each)) for each in received]
    assert ours == theirs
    assert "crashed" not in caplog.text
    assert ours.startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("is_alone", [True, False], ids=["alone", "listened_to"])
async def test_only_where_nobody_listens_the_answer_is_first(
    start_proxy: ProxyStarter, monkeypatch: pytest.MonkeyPatch, stream: bool, is_alone: bool
) -> None:
    order: list[str] = []
    async with start_proxy(REVERSE) as proxy:
        if not is_alone:
            proxy.master.addons.add(Listening())
        write = asyncio.StreamWriter.write

        def note(writer: asyncio.StreamWriter, data: bytes) -> None:
            if data.startswith(b"HTTP/1.1 200"):
                order.append("written")
            write(writer, data)

        hook = proxy.addon.responseheaders
        responseheaders = lambda flow: order.append("heard") or hook(flow)  # noqa: E731 - it stands for a method
        monkeypatch.setattr(asyncio.StreamWriter, "write", note)
        monkeypatch.setattr(proxy.addon, "responseheaders", responseheaders)
        assert (await answers_to(proxy, closing(post(SAME, stream=stream)))).startswith(b"HTTP/1.1 200 OK\r\n")
    assert order == (["written", "heard"] if is_alone else ["heard", "written"])


@pytest.mark.parametrize("is_alone", [True, False], ids=["alone", "listened_to"])
async def test_only_where_nobody_listens_claude_is_asked_first(
    start_proxy: ProxyStarter, monkeypatch: pytest.MonkeyPatch, is_alone: bool
) -> None:
    order: list[str] = []
    async with start_proxy(REVERSE) as proxy:
        if not is_alone:
            proxy.master.addons.add(Listening())
        hook, claude = proxy.addon.request, proxy.addon._gateway.claude
        ask = claude.stream
        monkeypatch.setattr(proxy.addon, "request", lambda flow: order.append("heard") or hook(flow))
        monkeypatch.setattr(claude, "stream", lambda *given: order.append("asked") or ask(*given))
        # In a second read there is nothing to be had beforehand.
        request = closing(post(SAME))
        assert b"200 OK" in await answers_to(proxy, request)
        assert b"200 OK" in await answers_to(proxy, request[:-1], request[-1:])
    assert order == (["asked", "heard"] if is_alone else ["heard", "asked"]) + ["heard", "asked"]


@pytest.mark.parametrize(
    "options", [{"body_size_limit": "10"}, {"validate_inbound_headers": False}], ids=["too_large", "two_lengths"]
)
async def test_what_mitmproxy_refuses_is_not_asked(
    start_proxy: ProxyStarter, monkeypatch: pytest.MonkeyPatch, options: dict[str, object]
) -> None:
    asked = []
    async with start_proxy(REVERSE, **options) as proxy:
        monkeypatch.setattr(proxy.addon._gateway.claude, "stream", lambda *given: asked.append(given))
        second = "content-length: 5\r\n" if "body_size_limit" not in options else ""
        answer = await answers_to(proxy, closing(post(SAME, headers=second)))
        assert re.match(rb"HTTP/1.1 4(00|13) ", answer)
        assert answer.count(b"HTTP/1.1") == 1
        assert proxy.running == 0
        assert proxy.addon._exchanges == {}
    assert asked == []


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_a_client_that_leaves_with_its_request_ends_it(start_proxy: ProxyStarter, stream: bool) -> None:
    async with start_proxy(REVERSE) as proxy:
        _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(post(simulated(text="late", delay=30), stream=stream))
        writer.close()
        async with asyncio.timeout(10):
            while proxy.running or proxy.addon._exchanges or proxy.master.addons.get("proxyserver").connections:
                await asyncio.sleep(0.01)
        metrics = await answers_to(proxy, b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert b'outcome="client_left"' in metrics


async def test_the_flow_shows_where_its_client_wanted_to_go(start_proxy: ProxyStarter) -> None:
    async with start_proxy(REVERSE) as proxy:
        shown: list[tuple[str, str | None, str]] = []
        end = proxy.addon.response

        def response(flow: http.HTTPFlow) -> None:
            end(flow)
            shown.append((flow.request.url, flow.request.text, flow.response.text))

        proxy.addon.response = response
        await answers_to(proxy, closing(post(SAME)))
    [(url, asked, answered)] = shown
    assert url == "http://standalone.claude-proxy.invalid/v1/chat/completions"
    assert json.loads(asked)["messages"][0]["content"] == SAME
    assert json.loads(answered)["choices"][0]["message"]["content"] == "The same text each time. "
