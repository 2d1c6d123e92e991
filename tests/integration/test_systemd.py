"""What systemd is told, by the socket that it names."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

import pytest

from addon.serving.systemd import tell_systemd
from tests.integration.serving_process import serving_process

if TYPE_CHECKING:
    from pathlib import Path

    from addon.simulated_claude.server import RunningSimulation


@pytest.fixture(params=["file", "abstract"])
def notified(request, tmp_path, monkeypatch):
    """A socket as systemd makes one."""
    address = str(tmp_path / "notify") if request.param == "file" else f"@claude-proxy-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address.replace("@", "\0", 1))
        listening.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        yield listening


def test_systemd_gets_one_datagram_at_the_socket_that_it_names(notified):
    tell_systemd("READY=1")
    assert notified.recv(100) == b"READY=1"


def test_nothing_is_sent_where_nobody_waits(monkeypatch, tmp_path):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    tell_systemd("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    tell_systemd("READY=1")


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_it_is_told_once_and_not_before_the_proxy_answers(
    simulation: RunningSimulation, tmp_path: Path, workers: str
) -> None:
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        where = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        async with serving_process(simulation.base_url, tmp_path, "--workers", workers, **where) as proxy:
            async with asyncio.timeout(30):
                assert await asyncio.get_running_loop().sock_recv(listening, 100) == b"READY=1"
            async with proxy.client() as client:
                assert (await client.models.list()).data
            with pytest.raises(BlockingIOError):
                listening.recv(100)
