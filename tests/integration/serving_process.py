"""A `claude-proxy serve` of its own: a second process on one store, and one that can be killed."""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openai import AsyncOpenAI, DefaultAsyncHttpx2Client

ROOT = Path(__file__).parents[2]
INHERITED = ("PATH", "HOME", "LANG", "XDG_STATE_HOME", "RATE_LIMIT_REQUESTS", "CLAUDE_PROXY_EGRESS_ALLOW")


@dataclass
class ServingProcess:
    """A process that listens on `port`."""

    process: asyncio.subprocess.Process
    port: int
    log: Path
    """What it writes to standard output."""

    def client(self, key: str = "sk-one", *, strict: bool = True) -> AsyncOpenAI:
        """Make the stock client."""
        return AsyncOpenAI(
            base_url=f"http://127.0.0.1:{self.port}/v1",
            api_key=key,
            max_retries=0,
            timeout=60,
            http_client=DefaultAsyncHttpx2Client(trust_env=False),
            _strict_response_validation=strict,
        )

    def events(self, *names: str) -> list[dict[str, Any]]:
        """Read the log lines so far, of which the last may not be whole yet: all, or the events of some names."""
        whole, _, _ = self.log.read_bytes().rpartition(b"\n")
        lines = map(json.loads, whole.splitlines())
        return [line for line in lines if not names or line["event"] in names]

    async def event(self, name: str, number: int = 0) -> dict[str, Any]:
        """Wait for an event."""
        async with asyncio.timeout(60):
            while len(found := self.events(name)) <= number:
                await asyncio.sleep(0.02)
        return found[number]

    def workers(self) -> list[int]:
        """Find the processes that it has begun, the oldest first."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(number) for number in children.split()]

    async def kill(self) -> None:
        """End it without a chance to say a word."""
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


@contextlib.asynccontextmanager
async def serving_process(
    claude_url: str, folder: Path, *arguments: str, log_to: int | None = None, **environment: str
) -> AsyncIterator[ServingProcess]:
    """Start one, whose state is in the folder unless the environment says otherwise.

    Its log goes to a file in there, or to the descriptor `log_to`.
    """
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    given = {
        "PYTHONPATH": str(ROOT),
        "ANTHROPIC_API_KEY": "sk-ant-test-key",
        "ANTHROPIC_BASE_URL": claude_url,
        "CLAUDE_PROXY_STORE_PATH": str(folder / "store.sqlite3"),
        "CLAUDE_PROXY_EXPORTER": "false",
        **environment,
    }
    command = [sys.executable, "-m", "addon.commands.cli", "serve", "--port", "0", *arguments]
    log = folder / f"{uuid.uuid4().hex}.log"
    with log.open("wb") as stdout:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env=inherited | given,
            stdout=stdout if log_to is None else log_to,
            stderr=asyncio.subprocess.PIPE,
        )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(150):
            while (found := re.search(rb":(\d+)/v1", line := await process.stderr.readline())) is None:
                assert line, "the proxy ended before it listened"
        yield ServingProcess(process, int(found[1]), log)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
