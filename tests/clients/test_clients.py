"""Every foreign client, unchanged, in both ways in: each feature that its program tries works."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.clients.catalogue import CLIENTS, KNOWN_GAPS
from tests.clients.client_program import Client, WayName, environment, run
from tests.contract.proxy_process import ProxyProcess
from tests.contract.simulated_upstream import SimulatedUpstream

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]

LEAVING_SECONDS = 5


@pytest.mark.parametrize(
    ("client", "way"),
    [pytest.param(client, way, id=f"{client.folder}-{way}") for client in CLIENTS for way in client.ways],
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
    assert not [body for body in claude.bodies if _has_lost_thinking(body)]
    _wait_until_stalled_calls_are_ended(claude)


def _has_lost_thinking(body: dict[str, Any]) -> bool:
    """Whether a call of the running turn has come back without what Claude thought before it."""
    if (body.get("thinking") or {"type": "disabled"})["type"] == "disabled":
        return False
    messages: list[dict[str, Any]] = body["messages"]
    turns = [[block["type"] for block in message["content"] if isinstance(block, dict)] for message in messages]
    called = [kinds for kinds in turns if "tool_use" in kinds]
    return "tool_result" in turns[-1] and bool(called) and "thinking" not in called[-1]


def _wait_until_stalled_calls_are_ended(claude: SimulatedUpstream) -> None:
    stalled = [call for call in claude.calls if "stall_after_events" in str(call.body["messages"][-1])]
    latest = time.monotonic() + LEAVING_SECONDS
    while time.monotonic() < latest and any(call.left_after is None for call in stalled):
        time.sleep(0.05)
    assert all(call.left_after is not None for call in stalled), "a client left, and its call to Claude went on"
