"""Fixtures: one proxy for all tests of a file, so that each fault has to leave it as good as new for the next one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from addon.settings import load_settings
from tests.faults.faulty_claude import FaultyClaude, faulty_claude
from tests.faults.http1_client import Http1Client
from tests.faults.leftovers import nothing_left
from tests.integration.running_proxy import RunningProxy, run_proxy

REVERSE = "reverse:http://standalone.claude-proxy.invalid@127.0.0.1:0"
SILENCE_SECONDS = 0.3
"""How long Claude may be silent here."""


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
    async with run_proxy(load_settings({"claude": claude, "store": {"path": ":memory:"}}), confdir, REVERSE) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def claude(proxy: RunningProxy, claude_of_the_file: FaultyClaude) -> AsyncIterator[FaultyClaude]:
    """Claude made of sockets; when the test is over, nothing may be left of its exchanges."""
    claude_of_the_file.begin()
    async with nothing_left(proxy, claude_of_the_file.upstream):
        yield claude_of_the_file


@pytest_asyncio.fixture(loop_scope="module")
async def client(proxy: RunningProxy, claude: FaultyClaude) -> AsyncIterator[Http1Client]:
    """A connection to the proxy."""
    connection = await Http1Client.connect(proxy.port)
    yield connection
    await connection.close()
