"""Every foreign client, unchanged, in both ways in: each feature that its program tries works."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients.catalogue import CLIENTS, KNOWN_GAPS
from tests.clients.client_program import Client, WayName, environment, run
from tests.clients.matrix import FEATURES, apis_of, cells_of
from tests.contract.proxy_process import ProxyProcess
from tests.contract.simulated_upstream import SimulatedUpstream

pytestmark = pytest.mark.timeout(600)

LEAVING_SECONDS = 30
TOOLS, LEFT = "tools over three turns", "a stream is left"
TURNS = 3


@pytest.mark.parametrize(
    ("client", "way"),
    [
        pytest.param(client, way, id=f"{client.folder}-{way}", marks=pytest.mark.clients(way=way))
        for client in CLIENTS
        for way in client.ways
    ],
)
def test_every_feature_of_the_client_works(
    client: Client,
    way: WayName,
    proxy: ProxyProcess,
    claude: SimulatedUpstream,
    tmp_path: Path,
    results: dict[str, dict[str, dict[str, str | None]]],
) -> None:
    report = run(client, environment(proxy, way, tmp_path), tmp_path)
    results.setdefault(client.folder, {})[way] = report.features
    assert report.features, f"nothing was reported:\n{report.output}\n{report.log}"
    assert report.status == 0, report.log
    gaps = {feature for folder, feature in KNOWN_GAPS if folder == client.folder}
    unexpected = {name: error for name, error in report.features.items() if error and name not in gaps}
    assert not unexpected, "\n".join(f"{name}: {error}" for name, error in unexpected.items()) + report.log
    closed = {name for name in gaps if name in report.features and not report.features[name]}
    assert not closed, "these gaps are closed: take them out of KNOWN_GAPS"
    cells = set(cells_of(client, way))
    assert cells <= report.features.keys(), f"the matrix has cells that nothing was reported for: {report.features}"
    possible = {f"{api}: {feature}" for api in apis_of(client, way) for feature in FEATURES}
    assert not (possible - cells) & report.features.keys(), "the client can, what CANNOT says it cannot"
    bodies = claude.bodies
    assert sum(map(_is_third_turn_with_thinking, bodies)) >= _count(cells, TOOLS), "thinking of earlier turns was lost"
    for feature, kind in (("image", "image"), ("PDF", "document")):
        shown = sum(any(kind in kinds for kinds in _kinds_of_blocks(body)) for body in bodies)
        assert shown >= _count(cells, feature), f"a client sent a {feature} that Claude has not got"
    stalled = [call for call in claude.calls if "stall_after_events" in str(call.body["messages"][-1])]
    assert len(stalled) >= _count(cells, LEFT)
    _wait_until(
        lambda: all(call.left_after is not None for call in stalled), "a client left, its call to Claude went on"
    )


def _count(cells: set[str], feature: str) -> int:
    return sum(cell.endswith(f": {feature}") for cell in cells)


def _is_third_turn_with_thinking(body: dict[str, Any]) -> bool:
    """Whether the tools of a third turn are answered, and each call so far still has its thinking before it."""
    turns = _kinds_of_blocks(body)
    called = [kinds for kinds in turns if "tool_use" in kinds]
    return len(called) == TURNS and "tool_result" in turns[-1] and all(kinds[0] == "thinking" for kinds in called)


def _kinds_of_blocks(body: dict[str, Any]) -> list[list[str]]:
    messages: list[dict[str, Any]] = body["messages"]
    return [[block["type"] for block in message["content"] if isinstance(block, dict)] for message in messages]


def _wait_until(holds: Callable[[], bool], otherwise: str) -> None:
    latest = time.monotonic() + LEAVING_SECONDS
    while time.monotonic() < latest and not holds():
        time.sleep(0.05)
    assert holds(), otherwise
