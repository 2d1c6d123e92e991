"""Who gets in, on real sockets: client keys at the standalone endpoint, and the doors of the proxy modes."""

import asyncio
import contextlib
import json
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from anthropic import AsyncAnthropic, AuthenticationError
from openai import AsyncOpenAI, BadRequestError, DefaultAsyncHttpx2Client

from addon.configuration.client_keys import change_key_file, digest_of, new_key
from addon.configuration.settings import Settings, load_settings
from tests.integration.batch_api import chat, create, ended, line
from tests.integration.raw_upstream import Call, RawUpstream, raw_upstream, whole_answer
from tests.integration.responses_socket import create as create_response
from tests.integration.responses_socket import receive_response, receive_to_the_end, socket_of
from tests.integration.running_proxy import ProxyStarter, RunningProxy

STANDALONE = "reverse:http://standalone.claude-proxy.invalid@127.0.0.1:0"
REGULAR = "regular@127.0.0.1:0"
OPENAI = "https://api.openai.com/v1/chat/completions"
KEY, KEPT = new_key("ci")
HAIKU_KEY, HAIKU_KEPT = new_key("small", models=["claude-haiku-*"])
BODY: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}


async def answer(call: Call) -> None:
    await call.send(whole_answer("Hi"))


@pytest.fixture
async def claude() -> AsyncIterator[RawUpstream]:
    async with raw_upstream(answer) as running:
        yield running


@pytest.fixture
def secured(claude: RawUpstream, tmp_path: Path) -> Settings:
    return settings_of(claude, tmp_path, keys=[KEPT, HAIKU_KEPT])


def settings_of(claude: RawUpstream, folder: Path, **access: Any) -> Settings:
    return load_settings(
        {
            "claude": {"api_key": "sk-ant-ours", "base_url": claude.base_url},
            "access": {"key_file": folder / "keys.json", **access},
        }
    )


@contextlib.asynccontextmanager
async def asking(proxy: RunningProxy) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}", trust_env=False, timeout=60) as client:
        yield client


def sent_keys(claude: RawUpstream) -> list[str]:
    lines = [line for call in claude.calls for line in call.head.decode().split("\r\n")]
    return [line.partition(": ")[2] for line in lines if line.lower().startswith(("authorization", "x-api-key"))]


async def test_the_standalone_endpoint_lets_in_whoever_has_a_key(
    start_proxy: ProxyStarter, secured: Settings, claude: RawUpstream
) -> None:
    async with start_proxy(STANDALONE, settings=secured) as proxy, asking(proxy) as client:
        for headers in ({}, {"authorization": "Bearer sk-wrong"}, {"api-key": "sk-wrong"}):
            refused = await client.post("/v1/chat/completions", json=BODY, headers=headers)
            assert refused.status_code == 401
            error = refused.json()["error"]
            assert (error["code"], error["type"], error["param"]) == ("invalid_api_key", "invalid_request_error", None)
            assert "sk-wrong" not in refused.text
        assert claude.calls == []
        for headers in ({"authorization": f"Bearer {KEY}"}, {"api-key": KEY}, {"x-api-key": KEY}):
            answered = await client.post("/v1/chat/completions", json=BODY, headers=headers)
            assert answered.status_code == 200, answered.text
        assert sent_keys(claude) == ["Bearer sk-ant-ours"] * 3


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/models"), ("GET", "/v1/responses/resp_1"), ("POST", "/v1/files"), ("DELETE", "/v1/files/file-1")],
)
async def test_every_endpoint_asks_for_a_key(
    start_proxy: ProxyStarter, secured: Settings, method: str, path: str
) -> None:
    async with start_proxy(STANDALONE, settings=secured) as proxy, asking(proxy) as client:
        assert (await client.request(method, path)).status_code == 401


@pytest.mark.parametrize(("path", "status"), [("/health", 200), ("/health/ready", 200), ("/metrics", 200)])
async def test_what_watches_the_process_needs_no_key(
    start_proxy: ProxyStarter, secured: Settings, path: str, status: int
) -> None:
    async with start_proxy(STANDALONE, settings=secured) as proxy, asking(proxy) as client:
        assert (await client.get(path)).status_code == status
        await client.post("/v1/chat/completions", json=BODY)
        assert 'claude_proxy_refused_total{reason="auth"} 1.0' in (await client.get("/metrics")).text


async def test_claudes_own_api_asks_in_claudes_words(start_proxy: ProxyStarter, secured: Settings) -> None:
    async with start_proxy(STANDALONE, settings=secured) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        async with AsyncAnthropic(api_key="sk-wrong", base_url=url, max_retries=0) as client:
            with pytest.raises(AuthenticationError) as refused:
                await client.messages.create(model="claude-haiku-4-5", max_tokens=9, messages=[])
    assert refused.value.body["error"]["type"] == "authentication_error"


async def test_a_key_is_held_to_its_models_at_each_endpoint(
    start_proxy: ProxyStarter, secured: Settings, claude: RawUpstream
) -> None:
    one = {"model": "claude-opus-5", "max_tokens": 9, "messages": []}
    own = {**one, "model": "claude-haiku-4-5"}
    advisor = {"type": "advisor_20260301", "name": "advisor", "model": "claude-opus-5"}
    asked: list[tuple[str, dict[str, Any]]] = [
        ("/v1/chat/completions", BODY),
        ("/v1/completions", {"model": "gpt-3.5-turbo-instruct", "prompt": "Hello"}),
        ("/v1/responses", {"model": "gpt-4o", "input": "Hello"}),
        ("/v1/responses/input_tokens", {"model": "gpt-4o", "input": "Hello"}),
        ("/v1/messages", one),
        ("/v1/messages/count_tokens", one),
        ("/v1/messages/batches", {"requests": [{"custom_id": "a", "params": one}]}),
        ("/v1/messages", {**one, "model": 5}),
        ("/v1/messages", {**own, "tools": [advisor]}),
        ("/v1/messages", {**own, "fallbacks": [{"model": "claude-opus-5"}]}),
        ("/v1/messages", {**own, "fallbacks": "default"}),
        ("/v1/messages/batches", {"requests": [{"custom_id": "a", "params": {**own, "tools": [advisor]}}]}),
        *((path, one) for path in ("/v1/%6Dessages", "/v1//messages/")),
    ]
    async with start_proxy(STANDALONE, settings=secured) as proxy, asking(proxy) as client:
        client.headers["authorization"] = f"Bearer {HAIKU_KEY}"
        for path, body in asked:
            refused = await client.post(path, json=body)
            assert refused.status_code == 403, (path, refused.text)
        assert claude.calls == []
        allowed = await client.post("/v1/chat/completions", json={**BODY, "model": "claude-haiku-4-5"})
        assert allowed.status_code == 200
        advised = {**own, "tools": [{"name": "mine", "input_schema": {}}, {**advisor, "model": "claude-haiku-4-5"}]}
        assert (await client.post("/v1/messages", json=advised)).status_code == 200


async def test_a_key_that_is_made_or_revoked_counts_within_a_second(
    start_proxy: ProxyStarter, secured: Settings, tmp_path: Path
) -> None:
    later, kept = new_key("later")
    async with start_proxy(STANDALONE, settings=secured) as proxy, asking(proxy) as client:

        async def becomes(status: int) -> None:
            async with asyncio.timeout(10):
                while True:
                    headers = {"authorization": f"Bearer {later}"}
                    if (await client.post("/v1/chat/completions", json=BODY, headers=headers)).status_code == status:
                        return
                    await asyncio.sleep(0.05)

        await becomes(401)
        change_key_file(tmp_path / "keys.json", lambda _: [kept])
        await becomes(200)
        change_key_file(tmp_path / "keys.json", lambda _: [kept.model_copy(update={"revoked": kept.created})])
        await becomes(401)


async def test_a_revoked_key_ends_a_websocket_that_is_open(
    start_proxy: ProxyStarter, claude: RawUpstream, tmp_path: Path
) -> None:
    kept = new_key("app")[1].model_copy(update={"sha256": digest_of("sk-one")})
    change_key_file(tmp_path / "keys.json", lambda _: [kept])
    async with start_proxy(STANDALONE, settings=settings_of(claude, tmp_path)) as proxy, socket_of(proxy) as socket:
        await create_response(socket)
        assert (await receive_response(socket))["status"] == "completed"
        change_key_file(tmp_path / "keys.json", lambda _: [kept.model_copy(update={"revoked": kept.created})])
        await asyncio.sleep(1.1)
        await create_response(socket)
        [refused], code = await receive_to_the_end(socket)
        assert (refused["type"], refused["status"], refused["error"]["code"]) == ("error", 401, "invalid_api_key")
        assert code == 1008
    assert len(claude.calls) == 1


async def test_a_revoked_key_counts_in_a_tunnel_that_is_open(
    start_proxy: ProxyStarter, claude: RawUpstream, tmp_path: Path
) -> None:
    later, kept = new_key("later")
    change_key_file(tmp_path / "keys.json", lambda _: [kept])
    settings = settings_of(claude, tmp_path, proxy_keys=True)
    async with start_proxy(REGULAR, settings=settings) as proxy:
        verify = ssl.create_default_context(cafile=str(proxy.ca))
        via = f"http://anybody:{later}@127.0.0.1:{proxy.port}"
        async with httpx2.AsyncClient(proxy=via, verify=verify, trust_env=False) as client:
            assert (await client.post(OPENAI, json=BODY)).status_code == 200
            change_key_file(tmp_path / "keys.json", lambda _: [kept.model_copy(update={"revoked": kept.created})])
            await asyncio.sleep(1.1)
            assert (await client.post(OPENAI, json=BODY)).status_code == 407
    assert len(claude.calls) == 1


async def test_calls_use_the_key_for_claude_that_belongs_to_the_client(
    start_proxy: ProxyStarter, claude: RawUpstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEAM_KEY", "sk-ant-of-the-team")
    team, kept = new_key("team", claude_key_variable="TEAM_KEY")
    settings = settings_of(claude, tmp_path, keys=[KEPT, kept], bring_your_own_key=True)
    async with start_proxy(STANDALONE, settings=settings) as proxy, asking(proxy) as client:
        for headers in (
            {"authorization": f"Bearer {KEY}"},
            {"authorization": f"Bearer {team}"},
            {"authorization": "Bearer sk-ant-own"},
            {"x-api-key": "sk-ant-own-2"},
            {"authorization": f"Bearer {KEY}"},
        ):
            assert (await client.post("/v1/chat/completions", json=BODY, headers=headers)).status_code == 200
        message = {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": BODY["messages"], "stream": True}
        assert (await client.post("/v1/messages", json=message, headers={"x-api-key": "sk-ant-own"})).is_success
    ours = "Bearer sk-ant-ours"
    assert sent_keys(claude) == [
        ours,
        "Bearer sk-ant-of-the-team",
        "Bearer sk-ant-own",
        "Bearer sk-ant-own-2",
        ours,
        "Bearer sk-ant-own",
    ]


async def test_a_listener_beyond_loopback_makes_a_key_shows_it_once_and_keeps_it(
    start_proxy: ProxyStarter, claude: RawUpstream, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_of(claude, tmp_path)
    everywhere = "reverse:http://standalone.claude-proxy.invalid@0.0.0.0:0"
    async with start_proxy(everywhere, settings=settings) as proxy, asking(proxy) as client:
        shown = capsys.readouterr().err
        key = shown.partition("OPENAI_API_KEY=")[2].split()[0]
        assert (await client.post("/v1/chat/completions", json=BODY)).status_code == 401
        headers = {"authorization": f"Bearer {key}"}
        assert (await client.post("/v1/chat/completions", json=BODY, headers=headers)).status_code == 200
    async with start_proxy(everywhere, settings=settings) as proxy, asking(proxy) as client:
        assert "OPENAI_API_KEY" not in capsys.readouterr().err
        assert (await client.post("/v1/chat/completions", json=BODY, headers=headers)).status_code == 200
    open_to_all = settings_of(claude, tmp_path / "other", allow_anonymous=True)
    async with start_proxy(everywhere, settings=open_to_all) as proxy, asking(proxy) as client:
        assert "OPENAI_API_KEY" not in capsys.readouterr().err
        assert (await client.post("/v1/chat/completions", json=BODY)).status_code == 200


# The proxy modes.


@pytest.fixture(params=["proxyauth", "proxy_keys"])
def guarded(
    request: pytest.FixtureRequest, start_proxy: ProxyStarter, claude: RawUpstream, tmp_path: Path
) -> tuple[contextlib.AbstractAsyncContextManager[RunningProxy], str]:
    """A proxy that asks for credentials, in mitmproxy's way and in ours, and a URL's part with right ones."""
    if request.param == "proxyauth":
        settings = settings_of(claude, tmp_path)
        return start_proxy(REGULAR, settings=settings, full=True, proxyauth="app:secret"), "app:secret@"
    settings = settings_of(claude, tmp_path, keys=[KEPT], proxy_keys=True)
    return start_proxy(REGULAR, settings=settings), f"anybody:{KEY}@"


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
@pytest.mark.parametrize("url", [OPENAI, OPENAI.replace("https", "http")], ids=["tunnel", "plain"])
async def test_the_proxy_answers_those_with_credentials_alone(
    guarded: Any, claude: RawUpstream, url: str, http2: bool
) -> None:
    starting, right = guarded
    async with starting as proxy:
        verify = ssl.create_default_context(cafile=str(proxy.ca))

        async def ask(credentials: str) -> list[int]:
            via = f"http://{credentials}127.0.0.1:{proxy.port}"
            async with httpx2.AsyncClient(proxy=via, verify=verify, http2=http2, trust_env=False) as client:
                statuses = []
                for _ in range(2):
                    try:
                        statuses.append((await client.post(url, json=BODY, headers=APP)).status_code)
                    except httpx2.ProxyError as error:
                        statuses.append(int(str(error).split()[0]))
            return statuses

        for wrong in ("", "app:wrong@", "wrong:secret@"):
            assert await ask(wrong) == [407, 407]
        assert claude.calls == []
        assert await ask(right) == [200, 200]
        assert sent_keys(claude) == ["Bearer sk-ant-ours"] * 2


APP = {"authorization": "Bearer sk-proj-of-the-app"}


async def test_no_credentials_of_another_request_open_a_kept_connection(guarded: Any, claude: RawUpstream) -> None:
    """On one connection of a balancer in front: a request with credentials, then one of somebody else without."""
    starting, right = guarded
    async with starting as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        body = json.dumps(BODY).encode()
        credentials = f"proxy-authorization: Basic {b64encode(right.rstrip('@').encode()).decode()}\r\n"
        statuses = []
        for line in (credentials, "", "proxy-authorization: Basic eDp5\r\n", credentials):
            head = f"POST {OPENAI.replace('https', 'http')} HTTP/1.1\r\nhost: api.openai.com\r\n{line}"
            writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            answer_head = await reader.readuntil(b"\r\n\r\n")
            statuses.append(int(answer_head.split()[1]))
            length = next(part for part in answer_head.lower().split(b"\r\n") if part.startswith(b"content-length:"))
            await reader.readexactly(int(length.split(b":")[1]))
        writer.close()
    assert statuses == [200, 407, 407, 200]
    assert len(claude.calls) == 2


async def test_a_tunnel_that_was_refused_cannot_be_used(guarded: Any, claude: RawUpstream) -> None:
    """A client that goes on as if its CONNECT had been granted."""
    starting, _ = guarded
    async with starting as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        body = json.dumps(BODY).encode()
        writer.write(b"CONNECT api.openai.com:80 HTTP/1.1\r\nhost: api.openai.com:80\r\n\r\n")
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: api.openai.com\r\n")
        writer.write(b"content-length: %d\r\n\r\n%b" % (len(body), body))
        writer.write_eof()
        async with asyncio.timeout(60):
            answered = await reader.read()
        writer.close()
    assert b" 200 " not in answered
    assert claude.calls == []


async def test_modes_that_cannot_ask_for_a_key_let_nobody_in(
    start_proxy: ProxyStarter, claude: RawUpstream, tmp_path: Path
) -> None:
    settings = settings_of(claude, tmp_path, keys=[KEPT], proxy_keys=True)
    async with start_proxy("socks5@127.0.0.1:0", settings=settings) as proxy:
        verify = ssl.create_default_context(cafile=str(proxy.ca))
        via = f"socks5h://127.0.0.1:{proxy.port}"
        async with httpx2.AsyncClient(proxy=via, verify=verify, trust_env=False) as client:
            assert (await client.post(OPENAI, json=BODY, headers=APP)).status_code == 407
    assert claude.calls == []


@pytest.mark.parametrize("header", ["authorization", "api-key", "x-api-key"])
async def test_no_key_finds_what_another_one_stored_however_it_is_sent(
    start_proxy: ProxyStarter, secured: Settings, header: str
) -> None:
    prefix = "Bearer " if header == "authorization" else ""
    one, other = ({header: f"{prefix}{key}"} for key in (KEY, HAIKU_KEY))
    async with start_proxy(STANDALONE, settings=secured) as proxy, asking(proxy) as client:
        made = (await client.post("/v1/conversations", json={}, headers=one)).json()["id"]
        found = [(await client.get(f"/v1/conversations/{made}", headers=key)).status_code for key in (one, other)]
    assert found == [200, 404]


async def test_a_key_finds_what_it_stored_however_it_is_sent(start_proxy: ProxyStarter, secured: Settings) -> None:
    ways: list[dict[str, str]] = [
        {"authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer  {KEY}"},
        {"api-key": KEY},
        {"x-api-key": KEY},
        {"authorization": f"Bearer {KEY}", "x-api-key": KEY},
    ]
    others: list[dict[str, str]] = [
        {"authorization": f"Bearer {HAIKU_KEY}"},
        {"authorization": KEY, "x-api-key": HAIKU_KEY},
        {"authorization": f"Bearer {KEY}", "x-api-key": HAIKU_KEY},
    ]
    async with start_proxy(STANDALONE, settings=secured) as proxy, asking(proxy) as client:
        made = [(await client.post("/v1/conversations", json={}, headers=way)).json()["id"] for way in ways]
        for conversation in made:
            path = f"/v1/conversations/{conversation}"
            assert [(await client.get(path, headers=way)).status_code for way in (*ways, *others)] == [
                *(200 for _ in ways),
                *(404 for _ in others),
            ]


async def test_a_header_does_not_make_a_client_of_a_key_for_the_proxy(
    start_proxy: ProxyStarter, claude: RawUpstream, tmp_path: Path
) -> None:
    settings = settings_of(claude, tmp_path, keys=[KEPT], proxy_keys=True, allow_anonymous=True)
    async with start_proxy(REGULAR, STANDALONE, settings=settings) as proxy:
        verify = ssl.create_default_context(cafile=str(proxy.ca))
        via = f"http://app:{KEY}@127.0.0.1:{proxy.ports[0]}"
        async with httpx2.AsyncClient(proxy=via, verify=verify, trust_env=False) as known:
            made = (await known.post("https://api.openai.com/v1/conversations", json={})).json()["id"]
            assert (await known.get(f"https://api.openai.com/v1/conversations/{made}")).status_code == 200
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.ports[1]}", trust_env=False) as stranger:
            headers = {"authorization": "key:ci"}
            assert (await stranger.get(f"/v1/conversations/{made}", headers=headers)).status_code == 404


async def test_no_key_for_the_proxy_finds_what_another_one_stored_with_the_same_key_for_openai(
    start_proxy: ProxyStarter, claude: RawUpstream, tmp_path: Path
) -> None:
    settings = settings_of(claude, tmp_path, keys=[KEPT, HAIKU_KEPT], proxy_keys=True)
    async with start_proxy(REGULAR, settings=settings) as proxy:
        verify = ssl.create_default_context(cafile=str(proxy.ca))

        @contextlib.asynccontextmanager
        async def through(key: str) -> AsyncIterator[httpx2.AsyncClient]:
            via = f"http://app:{key}@127.0.0.1:{proxy.port}"
            url = "https://api.openai.com"
            async with httpx2.AsyncClient(
                proxy=via, verify=verify, base_url=url, headers=APP, trust_env=False
            ) as client:
                yield client

        async with through(KEY) as one, through(HAIKU_KEY) as other:
            made = (await one.post("/v1/conversations", json={})).json()["id"]
            found = [(await client.get(f"/v1/conversations/{made}")).status_code for client in (one, other)]
    assert found == [200, 404]


async def test_a_batch_is_held_to_the_models_of_its_key(start_proxy: ProxyStarter, secured: Settings) -> None:
    async with start_proxy(STANDALONE, settings=secured) as proxy:
        url = f"http://127.0.0.1:{proxy.port}/v1"
        http = DefaultAsyncHttpx2Client(trust_env=False)
        async with AsyncOpenAI(base_url=url, api_key=HAIKU_KEY, http_client=http) as client:
            batch = await ended(client, (await create(client, [line("a", chat("Hello"))])).id)
    assert batch.status == "failed"
    assert batch.errors
    assert batch.errors.data
    assert batch.errors.data[0].code == "model_not_found"
    assert "'small' does not have access" in (batch.errors.data[0].message or "")


async def test_a_client_with_its_own_key_for_claude_makes_no_batches(
    start_proxy: ProxyStarter, claude: RawUpstream, tmp_path: Path
) -> None:
    settings = settings_of(claude, tmp_path, bring_your_own_key=True)
    async with start_proxy(STANDALONE, settings=settings) as proxy:
        url = f"http://127.0.0.1:{proxy.port}/v1"
        http = DefaultAsyncHttpx2Client(trust_env=False)
        async with AsyncOpenAI(base_url=url, api_key="sk-ant-theirs", http_client=http) as client:
            with pytest.raises(BadRequestError, match="Batches use the proxy's own key"):
                await create(client, [line("a", chat("Hello"))])
    assert not claude.calls


PAGE = {"origin": "https://page.example"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (PAGE, 403),
        ({**PAGE, "content-type": "text/plain;charset=UTF-8"}, 403),
        ({**PAGE, "content-type": "application/x-www-form-urlencoded"}, 403),
        ({"origin": "null", "content-type": "text/plain"}, 403),
        ({"origin": "http://127.0.0.1:1", "content-type": "text/plain"}, 403),
        ({"origin": "http://[::1", "content-type": "text/plain"}, 403),
        # No browser sends these for a page without asking first, and nobody here says yes.
        ({**PAGE, "content-type": "application/json"}, 200),
        ({**PAGE, "content-type": "text/plain", "authorization": "Bearer sk-any"}, 200),
        ({"origin": "chrome-extension://abc", "content-type": "text/plain"}, 200),
        ({"origin": "http://{host}", "content-type": "text/plain"}, 200),
        ({"content-type": "text/plain"}, 200),
        ({}, 200),
    ],
)
async def test_a_page_of_another_origin_spends_nothing_through_the_browser_of_the_machine(
    start_proxy: ProxyStarter, claude: RawUpstream, tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    async with start_proxy(STANDALONE, settings=settings_of(claude, tmp_path), keep_host_header=True) as proxy:
        host = f"127.0.0.1:{proxy.port}"
        sent = {name: value.format(host=host) for name, value in headers.items()}
        async with httpx2.AsyncClient(base_url=f"http://{host}", trust_env=False) as http:
            response = await http.post("/v1/chat/completions", content=json.dumps(BODY), headers=sent)
            assert response.status_code == status
            if status == 403:
                assert response.json()["error"]["code"] == "origin_not_allowed"
                assert claude.calls == []
            asked_first = await http.options("/v1/chat/completions", headers=PAGE)
            assert asked_first.is_error
            assert not [name for name in asked_first.headers if name.startswith("access-control")]
