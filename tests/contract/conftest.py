"""Fixtures: the stock OpenAI client, in each way in to a proxy that runs as an operator starts it.

One process serves all tests: each sees only its own calls to Claude, because the journal is emptied before it.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from openai import AsyncOpenAI, OpenAI

from tests.contract.proxy_process import SOCKS, ProxyProcess, Way, proxy_process
from tests.contract.simulated_upstream import SimulatedUpstream, simulated_upstream


@pytest.fixture(scope="session")
def contract_confdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One CA for all processes."""
    return tmp_path_factory.mktemp("confdir")


@pytest.fixture(scope="session")
def upstream_process() -> Iterator[SimulatedUpstream]:
    with simulated_upstream() as running:
        yield running


@pytest.fixture(scope="session")
def proxy(
    upstream_process: SimulatedUpstream, contract_confdir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProxyProcess]:
    """The proxy with its defaults, but without retries of its own, so that a test sees each error at once."""
    with proxy_process(
        contract_confdir,
        tmp_path_factory.mktemp("proxy") / "output",
        upstream_process.base_url,
        modes=(SOCKS,),
        environment={
            "CLAUDE_PROXY_MAX_RETRIES": "0",
            "CLAUDE_PROXY_STORE_PATH": ":memory:",
            "CLAUDE_PROXY_HOSTS": "api.openai.com,*.openai.azure.com,localhost",
            "CLAUDE_PROXY_ALIASES": "fast-*=claude-haiku-4-5,my-alias=claude-opus-4-6",
        },
    ) as running:
        yield running


@pytest.fixture
def claude(upstream_process: SimulatedUpstream) -> SimulatedUpstream:
    """What reached Claude in this test."""
    upstream_process.journal.clear()
    return upstream_process


@pytest.fixture(params=["https_proxy", "base_url"])
def way(request: pytest.FixtureRequest, proxy: ProxyProcess, claude: SimulatedUpstream) -> Way:
    """Each way that an app comes in: through the proxy of its environment, or by its base URL."""
    return proxy.way(request.param)


@pytest.fixture(scope="session")
def clients(proxy: ProxyProcess) -> Iterator[dict[str, OpenAI]]:
    """One client for each way, kept as an app keeps its own: its connections go through all that the tests do."""
    with (
        proxy.way("https_proxy").client(_strict_response_validation=True) as by_proxy,
        proxy.way("base_url").client(_strict_response_validation=True) as by_base_url,
    ):
        yield {"https_proxy": by_proxy, "base_url": by_base_url}


@pytest.fixture
def client(way: Way, clients: dict[str, OpenAI]) -> OpenAI:
    """The stock client, which raises on any answer that is not of its types to the letter."""
    return clients[way.name]


@pytest.fixture
async def async_client(way: Way) -> AsyncIterator[AsyncOpenAI]:
    async with way.async_client(_strict_response_validation=True) as made:
        yield made
