"""Fixtures: a proxy on real sockets against the simulated Claude."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from addon.configuration.settings import Settings, load_settings
from addon.simulated_claude.server import RunningSimulation
from addon.simulated_claude.server import start as start_simulated_claude
from tests.integration.responses_api import REVERSE, settings_with_store
from tests.integration.running_proxy import ProxyStarter, RunningProxy, run_proxy
from tests.reserved_ports import reserved_port


@pytest.fixture
async def simulation() -> AsyncIterator[RunningSimulation]:
    running = await start_simulated_claude()
    yield running
    await running.close()


@pytest.fixture
def settings(simulation: RunningSimulation) -> Settings:
    return load_settings({"claude": {"api_key": "sk-ant-test-key", "base_url": simulation.base_url}})


@pytest.fixture(scope="session")
def confdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One CA for all tests: making one takes a second."""
    return tmp_path_factory.mktemp("mitmproxy")


@pytest.fixture
def start_proxy(settings: Settings, confdir: Path) -> ProxyStarter:
    def start(
        *modes: str, settings: Settings = settings, **more_options: object
    ) -> contextlib.AbstractAsyncContextManager[RunningProxy]:
        return run_proxy(settings, confdir, *modes, **more_options)

    return start


@pytest.fixture
async def proxy(
    start_proxy: ProxyStarter, simulation: RunningSimulation, tmp_path: Path
) -> AsyncIterator[RunningProxy]:
    """A standalone endpoint with a store of its own. Files of tests that need another one define it."""
    store_settings = settings_with_store(simulation.base_url, tmp_path / "store.sqlite3")
    async with start_proxy(REVERSE, settings=store_settings) as running:
        yield running


@pytest.fixture
def claude_port() -> Iterator[int]:
    """A port for a Claude that comes later, and may leave again."""
    with reserved_port() as port:
        yield port
