"""Comments fill silence, and nothing else."""

import asyncio

from addon.wire.keep_alive import KeepAlive


async def test_no_comment_is_sent_while_other_bytes_are_on_their_way():
    sent = []

    async def write():
        sent.append("comment")

    keep_alive = KeepAlive(0.02, write)
    keep_alive.pause()
    await asyncio.sleep(0.2)
    assert sent == []
    keep_alive.touch()
    async with asyncio.timeout(10):
        while not sent:
            await asyncio.sleep(0.01)
    keep_alive.stop()
