"""Passwords of mitmproxy's own `proxyauth`, right and wrong: what comes out of the proxy is searched for each.

The operator's and a client's are the same, where the client is right. mitmproxy notes it in each flow.
"""

import base64
import socket
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from mitmproxy import http as mitmproxy_http
from mitmproxy import io as mitmproxy_io

from tests.contract.proxy_process import SOCKS, ProxyProcess, proxy_process
from tests.contract.simulated_upstream import SimulatedUpstream

USER = "app"
PASSWORD = "Tk2passwordOfProxyauth0123456789"
WRONG = "Tk2wrongPasswordOfAClient0123456789"
UPSTREAM_PASSWORD = "Tk2passwordForTheProxyUpstream0123456789"
MALFORMED = "Tk2notEvenBasic0123456789"
HALF_SENT = "Tk2halfSentToSocks0123456789"
UPSTREAM = "upstream:http://127.0.0.1:1"


def basic(password: str) -> str:
    return base64.b64encode(f"{USER}:{password}".encode()).decode()


SECRETS = {
    "password": PASSWORD,
    "password_encoded": basic(PASSWORD),
    "wrong": WRONG,
    "wrong_encoded": basic(WRONG),
    "upstream": UPSTREAM_PASSWORD,
    "upstream_encoded": basic(UPSTREAM_PASSWORD),
    "malformed": MALFORMED,
    "half_sent": HALF_SENT,
}
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}


@dataclass
class Left:
    """What came out of a proxy."""

    printed: str = ""
    flows: bytes = b""
    metrics: str = ""
    answers: list[str] = field(default_factory=list)
    """Heads and bodies."""
    statuses: list[int] = field(default_factory=list)


def ask_everything(proxy: ProxyProcess, left: Left) -> None:
    def ask(url: str, via: str | None = None, **options: Any) -> None:
        with httpx2.Client(proxy=via, verify=proxy.verify, trust_env=False, timeout=20) as http:
            for stream in (False, True):
                try:
                    response = http.post(url, json={**CHAT, "stream": stream}, **options)
                except httpx2.TransportError as error:
                    left.answers.append(str(error))
                else:
                    left.statuses.append(response.status_code)
                    left.answers.append(f"{response.headers.raw!r}\n{response.text}")

    path = "/v1/chat/completions"
    for password in (PASSWORD, WRONG):
        for scheme, mode in (("http", "regular"), ("http", "upstream"), ("socks5h", SOCKS)):
            if (mode, password) == (SOCKS, WRONG):  # httpx2 would leave its socket open
                continue
            via = f"{scheme}://{USER}:{password}@127.0.0.1:{proxy.ports[mode]}"
            for url in (f"https://api.openai.com{path}", f"http://api.openai.com{path}", "http://elsewhere.invalid/"):
                ask(url, via)
        ask(f"{proxy.origin}{path}", auth=(USER, password))
    for value in (MALFORMED, f"Bearer {MALFORMED}", f"Basic {MALFORMED}"):
        ask(f"http://api.openai.com{path}", proxy.proxy_url, headers={"proxy-authorization": value})
        ask(f"{proxy.origin}{path}", headers={"authorization": value})
        connect(proxy, value)
    with log_in_to_socks(proxy, WRONG) as opened:
        assert opened.recv(2) == b"\x01\x01"
    log_in_to_socks(proxy, HALF_SENT, missing=1).close()
    left.metrics = httpx2.get(f"{proxy.origin}/metrics", auth=(USER, PASSWORD), trust_env=False).text


def connect(proxy: ProxyProcess, value: str) -> None:
    with socket.create_connection(("127.0.0.1", proxy.ports["regular"])) as opened:
        head = (
            f"CONNECT api.openai.com:443 HTTP/1.1\r\nhost: api.openai.com:443\r\nproxy-authorization: {value}\r\n\r\n"
        )
        opened.sendall(head.encode())
        assert opened.recv(1024).startswith(b"HTTP/1.1 407")


def log_in_to_socks(proxy: ProxyProcess, password: str, missing: int = 0) -> socket.socket:
    """Send name and password, as if there were some more bytes of it to come."""
    opened = socket.create_connection(("127.0.0.1", proxy.ports[SOCKS]))
    opened.sendall(b"\x05\x01\x02")
    assert opened.recv(2) == b"\x05\x02"
    opened.sendall(b"\x01%c%b%c%b" % (len(USER), USER.encode(), len(password) + missing, password.encode()))
    return opened


@pytest.fixture(scope="module")
def left(upstream_process: SimulatedUpstream, contract_confdir: Any, tmp_path_factory: pytest.TempPathFactory) -> Left:
    folder = tmp_path_factory.mktemp("proxyauth")
    output, flows, found = folder / "output", folder / "flows", Left()
    passwords = ("--set", f"proxyauth={USER}:{PASSWORD}", "--set", f"upstream_auth={USER}:{UPSTREAM_PASSWORD}")
    with proxy_process(
        contract_confdir,
        output,
        upstream_process.base_url,
        *passwords,
        *("-w", str(flows), "-v"),
        modes=(SOCKS, UPSTREAM),
        environment={"LOG_LEVEL": "DEBUG", "CLAUDE_PROXY_STORE_PATH": ":memory:"},
        credentials=(USER, PASSWORD),
    ) as proxy:
        ask_everything(proxy, found)
    found.printed, found.flows = output.read_text(), flows.read_bytes()
    return found


def test_there_is_something_to_search(left: Left, tmp_path: Any) -> None:
    assert left.statuses.count(200) >= 10
    assert left.statuses.count(407) >= 10
    assert left.statuses.count(401) >= 4
    assert left.printed.count('"event":"exchange"') >= 10
    assert "claude_proxy_requests_total" in left.metrics
    file = tmp_path / "flows"
    file.write_bytes(left.flows)
    with file.open("rb") as saved:
        flows = [flow for flow in mitmproxy_io.FlowReader(saved).stream() if isinstance(flow, mitmproxy_http.HTTPFlow)]
    assert {flow.response.status_code for flow in flows if flow.response} >= {200, 401, 407}
    assert {flow.metadata.get("proxyauth", (None,))[0] for flow in flows} == {USER, None}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_no_password_is_in_the_log_the_metrics_an_answer_or_a_saved_flow(left: Left, secret: str) -> None:
    for text in (left.printed, left.metrics, *left.answers):
        assert [line[:400] for line in text.splitlines() if secret in line] == []
    assert secret.encode() not in left.flows
