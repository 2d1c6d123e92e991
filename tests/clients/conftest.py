"""Fixtures: one proxy for all foreign clients, in front of the simulated Claude."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.proxy_process import ProxyProcess, proxy_process
from tests.contract.simulated_upstream import SimulatedUpstream, simulated_upstream


@pytest.fixture(scope="session")
def upstream() -> Iterator[SimulatedUpstream]:
    with simulated_upstream() as running:
        yield running


@pytest.fixture(scope="session")
def proxy(upstream: SimulatedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxyProcess]:
    """The proxy with its defaults, except that nothing leaves the machine, nothing is kept, and clients retry."""
    with proxy_process(
        tmp_path_factory.mktemp("confdir"),
        tmp_path_factory.mktemp("proxy") / "output",
        upstream.base_url,
        environment={
            "CLAUDE_PROXY_UNTRANSLATED": "refuse",
            "CLAUDE_PROXY_STORE_PATH": ":memory:",
            "CLAUDE_PROXY_MAX_RETRIES": "0",
        },
    ) as running:
        yield running


@pytest.fixture
def claude(upstream: SimulatedUpstream) -> SimulatedUpstream:
    """What reached Claude in this test."""
    upstream.journal.clear()
    return upstream


@pytest.fixture(scope="session")
def results() -> Iterator[dict[str, dict[str, dict[str, str | None]]]]:
    """By client, way and feature; written to the file that CLAUDE_PROXY_CLIENT_RESULTS names, for the table."""
    collected: dict[str, dict[str, dict[str, str | None]]] = {}
    yield collected
    if file := os.environ.get("CLAUDE_PROXY_CLIENT_RESULTS"):
        Path(file).write_text(json.dumps(collected, indent=1))
