"""Fixtures: one proxy for all tests of a file, so that each fault has to leave it as good as new for the next one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from addon.configuration.settings import load_settings
from tests.faults.faulty_claude import FaultyClaude, faulty_claude
from tests.faults.http1_client import Http1Client
from tests.faults.http2_client import Http2Client
from tests.faults.leftovers import nothing_left
from tests.integration.running_proxy import RunningProxy, run_proxy

REVERSE = "reverse:http://standalone.claude-proxy.invalid@127.0.0.1:0"
MODES = (REVERSE, "regular", REVERSE.replace("http:", "https:", 1))
"""The standalone endpoint, the proxy, and the standalone endpoint with TLS."""
WAYS = ("http1", "http2")
type Client = Http1Client | Http2Client
SILENCE_SECONDS = 1.0
"""How long Claude may be silent here: more than a busy machine stands still."""


@pytest.fixture(scope="session")
def confdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One CA for all tests: making one takes a second."""
    return tmp_path_factory.mktemp("mitmproxy")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def claude_of_the_file() -> AsyncIterator[FaultyClaude]:
    async with faulty_claude() as claude:
        yield claude


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(claude_of_the_file: FaultyClaude, confdir: Path) -> AsyncIterator[RunningProxy]:
    base_url = claude_of_the_file.base_url
    claude = {"api_key": "sk-ant-test-key", "base_url": base_url, "max_retries": 0, "timeout": SILENCE_SECONDS}
    async with run_proxy(load_settings({"claude": claude, "store": {"path": ":memory:"}}), confdir, *MODES) as running:
        yield running


async def connect(proxy: RunningProxy, way: str) -> Client:
    """Connect to a proxy of all `MODES`: plainly to its endpoint, or by HTTP/2 through its tunnel to OpenAI's host."""
    if way == "http2":
        return await Http2Client.connect_through(proxy.ports[1], proxy.ca)
    return await Http1Client.connect(proxy.port)


async def connect_for_forwarding(proxy: RunningProxy, way: str) -> Client:
    """Connect to the standalone endpoint, where alone Claude's own API is: plainly, or by HTTP/2."""
    if way == "http2":
        return await Http2Client.connect_to(proxy.ports[2], proxy.ca)
    return await Http1Client.connect(proxy.port)


@pytest_asyncio.fixture(loop_scope="module")
async def claude(proxy: RunningProxy, claude_of_the_file: FaultyClaude) -> AsyncIterator[FaultyClaude]:
    """Claude made of sockets; when the test is over, nothing may be left of its exchanges."""
    claude_of_the_file.begin()
    async with nothing_left(proxy, claude_of_the_file.upstream):
        yield claude_of_the_file


@pytest_asyncio.fixture(loop_scope="module", params=WAYS)
async def client(proxy: RunningProxy, claude: FaultyClaude, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    """A connection to the proxy, in each way."""
    connection = await connect(proxy, request.param)
    yield connection
    await connection.close()


@pytest_asyncio.fixture(loop_scope="module", params=WAYS)
async def forwarding_client(
    proxy: RunningProxy, claude: FaultyClaude, request: pytest.FixtureRequest
) -> AsyncIterator[Client]:
    """A connection for Claude's own API."""
    connection = await connect_for_forwarding(proxy, request.param)
    yield connection
    await connection.close()
