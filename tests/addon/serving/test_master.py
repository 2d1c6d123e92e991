"""The master of a serving process."""

import asyncio
import socket
import struct
import sys
from pathlib import Path

import pytest

from addon.configuration.settings import load_settings
from addon.serving.listening import BACKLOG, STANDALONE, open_sockets
from addon.serving.master import build_master


@pytest.mark.skipif(sys.platform != "linux", reason="TCP_INFO of a listening socket is Linux's")
async def test_the_queue_of_connections_is_longer_than_mitmproxys(clean_environment, tmp_path):
    system_limit = int(Path("/proc/sys/net/core/somaxconn").read_text())  # noqa: ASYNC240 - no server runs yet
    listening = open_sockets([f"{STANDALONE}@0"], "127.0.0.1")
    master = build_master(load_settings({"claude": {"simulate": True}}), listening, confdir=tmp_path)
    running = asyncio.create_task(master.run())
    await master.ready.wait()
    (server,) = master.addons.get("proxyserver").servers
    listening = server._servers[0].sockets[0]
    with socket.fromfd(listening.fileno(), listening.family, listening.type) as same:
        info = same.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    await master.stop(0, 0)
    await running
    assert struct.unpack_from("I", info, 28)[0] == min(BACKLOG, system_limit) > 100
