"""The image of deploy/Dockerfile, built and run as the documents say: read-only, without rights, ended in peace."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
from typing import TYPE_CHECKING

import httpx2
import openai
import pytest

from tests.deploy.image import LONG_TEXT, NAME, STALLING, Engine, limits
from tests.reserved_ports import reserved_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(1200)  # the first one makes a Debian and builds the image

CONFINED = [
    "--read-only",
    "--read-only-tmpfs=false",
    "--tmpfs=/tmp",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
]


@contextlib.asynccontextmanager
async def container(engine: Engine, state: Path, name: str) -> AsyncIterator[str]:
    """Run `serve` in one, until it is ready. Gives the URL that it answers on."""
    # The network of the machine: an engine's own needs more than it takes to run one.
    where = ["--network=host", f"--volume={state}:/var/lib/claude-proxy", "--log-driver=k8s-file", f"--name={name}"]
    with reserved_port() as port:
        environment = {"PORT": port, "CLAUDE_PROXY_EXPORTER": "false", "CLAUDE_PROXY_SIMULATE": "true"}
        given = [f"--env={variable}={value}" for variable, value in environment.items()]
        engine.run("run", "--detach", *CONFINED, *limits(), *where, *given, NAME)
        try:
            url = f"http://127.0.0.1:{port}"
            async with httpx2.AsyncClient(trust_env=False) as client, asyncio.timeout(150):
                while not await is_ready(client, url):
                    await asyncio.sleep(0.1)
            yield url
        finally:
            engine.run("rm", "--force", name)


async def is_ready(client: httpx2.AsyncClient, url: str) -> bool:
    with contextlib.suppress(httpx2.TransportError):
        return (await client.get(f"{url}/health/ready")).status_code == 200
    return False


def said(engine: Engine, name: str) -> tuple[str, str]:
    """What it has written to standard output and standard error."""
    ended = subprocess.run(engine.command("logs", name), capture_output=True, text=True, timeout=60, check=True)
    return ended.stdout, ended.stderr


def client(url: str, key: str) -> openai.AsyncOpenAI:
    http_client = openai.DefaultAsyncHttpx2Client(trust_env=False)
    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=30, http_client=http_client)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A volume that belongs to the image's user, as an engine makes it."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    subprocess.run(["chown", "10001:10001", str(folder)], check=True)
    return folder


async def test_a_container_without_rights_serves_from_read_only_files_and_lets_answers_end(
    engine: Engine, state: Path
) -> None:
    async with container(engine, state, "first") as url:
        assert engine.run("exec", "first", "id", "--user") == "10001"
        with pytest.raises(AssertionError, match="Read-only file system"):
            engine.run("exec", "first", "touch", "/opt/claude-proxy/x")
        engine.run("healthcheck", "run", "first")

        [key] = re.findall(r"OPENAI_API_KEY=(\S+)", said(engine, "first")[1])
        made = engine.run("exec", "first", "claude-proxy", "keys", "add", "ci")
        async with client(url, key) as first:
            with pytest.raises(openai.AuthenticationError):
                await first.with_options(api_key="sk-wrong").models.list()
            stored = await first.responses.create(model="gpt-4o", input="Hello")
            streaming = await first.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": STALLING}], stream=True
            )
            while not (opening := (await anext(streaming)).choices[0].delta.content):
                pass
            stopping = await asyncio.create_subprocess_exec(
                *engine.command("stop", "--time", "25", "first"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            pieces = [opening, *[chunk.choices[0].delta.content or "" async for chunk in streaming]]
        assert "".join(pieces) == LONG_TEXT
        assert await stopping.wait() == 0
        assert engine.run("inspect", "--format={{.State.ExitCode}}", "first") == "0"

        lines = [json.loads(line) for line in said(engine, "first")[0].splitlines()]
        assert {"listening", "exchange"} <= {line["event"] for line in lines}
        assert key not in said(engine, "first")[0]

    # What it keeps is in its volume: the next one makes no key of its own.
    async with container(engine, state, "second") as url, client(url, key) as second:
        assert "OPENAI_API_KEY=" not in said(engine, "second")[1]
        assert (await second.responses.retrieve(stored.id)).output_text == stored.output_text
        assert await second.with_options(api_key=made).models.list()
