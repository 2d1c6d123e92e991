"""What mitmproxy itself refuses or cannot reach is told to a client as OpenAI tells errors, in each version of HTTP."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, override

import httpx2
import pytest
from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import QuicEvent

from addon.configuration.settings import Settings, load_settings
from tests.faults.encodings import WHOLE
from tests.faults.http2_client import Http2Client
from tests.integration.running_proxy import ProxyStarter, RunningProxy
from tests.integration.test_other_hosts import real_host

REGULAR = "regular@127.0.0.1:0"
REVERSE_TLS = "reverse:https://standalone.claude-proxy.invalid@127.0.0.1:0"
NOBODY = "https://127.0.0.1:9"
"""Nothing listens there: a connection is refused at once."""

HOSTS = ["api.openai.com", "127.0.0.1"]

type Client = httpx2.AsyncClient


@pytest.fixture
def settings() -> Settings:
    return load_settings({"claude": {"simulate": True}, "interception": {"hosts": HOSTS, "others": "intercept"}})


@pytest.fixture(params=[True, False], ids=["in-mitmdump", "in-our-own-master"])
async def proxy(start_proxy: ProxyStarter, request: pytest.FixtureRequest) -> AsyncIterator[RunningProxy]:
    whole = request.param
    async with start_proxy(REGULAR, full=whole, keeps_bodies=whole, ssl_insecure=True, body_size_limit="4k") as running:
        yield running


@pytest.fixture(params=["HTTP/1.1", "HTTP/2"])
async def client(proxy: RunningProxy, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    verify = ssl.create_default_context(cafile=str(proxy.ca))
    is_http2 = request.param == "HTTP/2"
    via = f"http://127.0.0.1:{proxy.port}"
    async with httpx2.AsyncClient(proxy=via, verify=verify, http2=is_http2, trust_env=False, timeout=60) as made:
        yield made


REFUSED: dict[str, tuple[int, str, dict[str, Any]]] = {
    "out_of_reach": (502, "server_error", {"json": {}}),
    "body_too_large": (413, "invalid_request_error", {"content": b"x" * 5000}),
}


@pytest.mark.parametrize(("status", "kind", "request_of"), REFUSED.values(), ids=REFUSED)
async def test_what_mitmproxy_refuses_is_an_error_as_openai_tells_it(
    client: Client, status: int, kind: str, request_of: dict[str, Any]
) -> None:
    # Again on the same connection, where it goes on.
    for _ in range(2):
        response = await client.post(f"{NOBODY}/v1/embeddings", **request_of)
        assert (response.status_code, response.headers["content-type"]) == (status, "application/json")
        assert int(response.headers["content-length"]) == len(response.content)
        error = response.json()["error"]
        assert (error["type"], error["code"], error["param"]) == (kind, None, None)
        assert error["message"]
        assert ("connection" in response.headers) == (response.http_version == "HTTP/1.1")


async def test_an_error_that_answers_head_has_no_body(client: Client) -> None:
    for _ in range(2):
        response = await client.head(f"{NOBODY}/v1/embeddings")
        assert (response.status_code, response.headers["content-type"]) == (502, "application/json")
        assert response.content == b""


async def test_an_http2_request_that_is_none_is_refused_and_the_others_of_its_connection_are_answered(
    proxy: RunningProxy,
) -> None:
    client = await Http2Client.connect_through(proxy.port, proxy.ca)
    encoding = WHOLE[0]
    client.send(encoding.path, encoding.body)
    client.send(encoding.path, encoding.body, "ftp")
    client.send(encoding.path, encoding.body)
    before, refused, after = [await client.receive() for _ in range(3)]
    assert (before.status, refused.status, after.status) == (200, 400, 200)
    assert refused.headers["content-type"] == "application/json"
    error = json.loads(refused.body)["error"]
    assert (error["type"], error["message"]) == ("invalid_request_error", "Invalid request scheme: ftp")
    await client.close()


BROKEN_OFF = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n5\r\ndata:\r\n"


async def test_an_answer_that_has_begun_is_broken_off_and_no_error_put_behind_it(
    client: Client, tmp_path: Path
) -> None:
    async with real_host(tmp_path, BROKEN_OFF) as (port, _):
        async with client.stream("POST", f"https://127.0.0.1:{port}/v1/audio/speech", json={}) as response:
            assert response.status_code == 200
            pieces = response.aiter_bytes()
            assert await anext(pieces) == b"data:"
            with pytest.raises(httpx2.RemoteProtocolError):
                await anext(pieces)


class Http3Client(QuicConnectionProtocol):
    """Asks once; `answer` is the status, the headers and the body."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._h3 = H3Connection(self._quic)
        self._headers: dict[bytes, bytes] = {}
        self._body = b""
        self.answer: asyncio.Future[tuple[int, dict[bytes, bytes], bytes]] = asyncio.get_running_loop().create_future()

    def ask(self, method: str, body: bytes) -> None:
        stream_id = self._quic.get_next_available_stream_id()
        names = {"method": method, "scheme": "https", "authority": "localhost", "path": "/v1/chat/completions"}
        pseudo = [(f":{name}".encode(), value.encode()) for name, value in names.items()]
        self._h3.send_headers(stream_id, [*pseudo, (b"content-length", b"%d" % len(body))])
        self._h3.send_data(stream_id, body, end_stream=True)
        self.transmit()

    @override
    def quic_event_received(self, event: QuicEvent) -> None:
        for each in self._h3.handle_event(event):
            if isinstance(each, HeadersReceived):
                self._headers = dict(each.headers)
            if isinstance(each, DataReceived):
                self._body += each.data
            if isinstance(each, HeadersReceived | DataReceived) and each.stream_ended:
                status = int(self._headers[b":status"])
                self.answer.set_result((status, self._headers, self._body))


@pytest.mark.parametrize("full", [True, False], ids=["in-mitmdump", "in-our-own-master"])
async def test_an_error_over_http3_is_one_too(start_proxy: ProxyStarter, full: bool) -> None:
    async with start_proxy(REVERSE_TLS, full=full, body_size_limit="4k") as proxy:
        configuration = QuicConfiguration(
            alpn_protocols=H3_ALPN, server_name="localhost", cafile=str(proxy.ca), verify_mode=ssl.CERT_NONE
        )
        connecting = connect("127.0.0.1", proxy.port, configuration=configuration, create_protocol=Http3Client)
        async with asyncio.timeout(60), connecting as client:
            client.ask("POST", b"x" * 5000)
            status, headers, body = await client.answer
        assert (status, headers[b"content-type"]) == (413, b"application/json")
        assert json.loads(body)["error"]["type"] == "invalid_request_error"
