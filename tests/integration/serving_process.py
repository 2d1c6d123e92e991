"""A `claude-proxy serve` of its own: a second process on one store, and one that can be killed."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from openai import AsyncOpenAI, DefaultAsyncHttpx2Client

ROOT = Path(__file__).parents[2]


@dataclass
class ServingProcess:
    """A process that listens on `port`."""

    process: asyncio.subprocess.Process
    port: int

    def client(self, key: str = "sk-one", *, strict: bool = True) -> AsyncOpenAI:
        """Make the stock client."""
        return AsyncOpenAI(
            base_url=f"http://127.0.0.1:{self.port}/v1",
            api_key=key,
            max_retries=0,
            timeout=20,
            http_client=DefaultAsyncHttpx2Client(trust_env=False),
            _strict_response_validation=strict,
        )

    async def kill(self) -> None:
        """End it without a chance to say a word."""
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


@contextlib.asynccontextmanager
async def serving_process(claude_url: str, folder: Path, **environment: str) -> AsyncIterator[ServingProcess]:
    """Start one, whose state is in the folder unless the environment says otherwise."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    given = {
        "PYTHONPATH": str(ROOT),
        "ANTHROPIC_API_KEY": "sk-ant-test-key",
        "ANTHROPIC_BASE_URL": claude_url,
        "CLAUDE_PROXY_STORE_PATH": str(folder / "store.sqlite3"),
        "CLAUDE_PROXY_EXPORTER": "false",
        **environment,
    }
    command = [sys.executable, "-m", "addon.cli", "serve", "--port", "0"]
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=inherited | given,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(60):
            while (found := re.search(rb":(\d+)/v1", line := await process.stderr.readline())) is None:
                assert line, "the proxy ended before it listened"
        yield ServingProcess(process, int(found[1]))
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
