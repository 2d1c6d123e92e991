"""Two instances of two workers each, with one Redis, behind a balancer with its configuration of deploy/."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import openai
from prometheus_client.multiprocess import MultiProcessCollector

from addon.observation.metrics_folder import living_processes
from tests.integration.raw_upstream import Call, RawUpstream, begun_answer, message_end, raw_upstream, text_delta
from tests.integration.serving_process import ServingProcess, serving_process
from tests.reserved_ports import reserved_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DEPLOY = Path(__file__).parents[2] / "deploy"
PATH = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
CONFIGURATIONS = {"haproxy": DEPLOY / "haproxy.cfg", "nginx": DEPLOY / "nginx.conf"}
SECONDS = 60
NGINX = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    {configuration}
}}
"""


def start_balancer(name: str, folder: Path, port: int, instances: list[int]) -> subprocess.Popen[bytes]:
    """Start one with the configuration of deploy/, whose ports alone are others."""
    text = CONFIGURATIONS[name].read_text()
    for written, used in (("8080", port), ("8001", instances[0]), ("8002", instances[1])):
        assert f"127.0.0.1:{written}" in text
        text = text.replace(f"127.0.0.1:{written}", f"127.0.0.1:{used}")
    file = folder / f"{name}.conf"
    program = shutil.which(name, path=PATH)
    assert program is not None
    if name == "haproxy":
        file.write_text(text)
        command = [program, "-q", "-f", str(file)]
    else:
        file.write_text(NGINX.format(configuration=text))
        command = [program, "-p", str(folder), "-c", str(file)]
    checked = [*command, "-c"] if name == "haproxy" else [*command, "-t"]
    subprocess.run(checked, check=True, capture_output=True, timeout=60)
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


class Script:
    """Answers each call with a piece of text, waits to be let go on, and ends it."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.waits = False

    async def __call__(self, call: Call) -> None:
        if self.waits:
            await asyncio.Event().wait()
        await call.send(begun_answer("first"))
        await self.go_on.wait()
        await call.send(text_delta(" last") + message_end())


@dataclass
class Instance:
    """A `claude-proxy serve`, and where it counts."""

    serving: ServingProcess
    metrics_folder: Path
    exporter_port: int

    def workers(self) -> list[int]:
        """Find its processes that answer requests."""
        return sorted(map(int, living_processes(self.metrics_folder)))

    def streams(self) -> dict[int, int]:
        """Find how many completions each of them is making."""
        return {worker: self._in_flight(worker) for worker in self.workers()}

    def _in_flight(self, worker: int) -> int:
        files = map(str, self.metrics_folder.glob(f"gauge_live*_{worker}.db"))
        samples = [sample for metric in MultiProcessCollector.merge(files) for sample in metric.samples]
        return sum(
            int(sample.value)
            for sample in samples
            if sample.name == "claude_proxy_requests_in_flight" and sample.labels["endpoint"] == "chat_completions"
        )


@dataclass
class Cluster:
    """Two instances, each with a Claude of its own, so that it can be told who served what."""

    url: str
    instances: list[Instance]
    claudes: list[RawUpstream]
    script: Script
    seen: tuple[int, ...] = (0, 0)

    def served(self) -> tuple[int, ...]:
        """How many calls each instance has made for this test."""
        return tuple(len(claude.calls) - seen for claude, seen in zip(self.claudes, self.seen, strict=True))

    def client(self, key: str = "sk-one") -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(
            base_url=f"{self.url}/v1",
            api_key=key,
            max_retries=0,
            timeout=SECONDS,
            http_client=openai.DefaultAsyncHttpx2Client(trust_env=False),
        )

    async def metric(self, name: str, *labels: str, exported: bool = False) -> list[float]:
        """Read one metric of each instance, 0 where it has none; from its exporter, or from the endpoint itself."""
        found = []
        async with httpx2.AsyncClient(trust_env=False) as client:
            for instance in self.instances:
                port = instance.exporter_port if exported else instance.serving.port
                page = (await client.get(f"http://127.0.0.1:{port}/metrics")).text.splitlines()
                lines = [line for line in page if line.startswith(name) and all(label in line for label in labels)]
                found.append(sum(float(line.rpartition(" ")[2]) for line in lines))
        return found


@contextlib.asynccontextmanager
async def running_cluster(balancer: str, tmp_path: Path, redis_url: str, **environment: str) -> AsyncIterator[Cluster]:
    script = Script()
    shared = {
        "CLAUDE_PROXY_REDIS_URL": redis_url,
        "CLAUDE_PROXY_SECRET": "the same for both, and long enough",
        "CLAUDE_PROXY_WORKERS": "2",
        **environment,
    }

    async with contextlib.AsyncExitStack() as stack:
        claudes = [await stack.enter_async_context(raw_upstream(script)) for _ in range(2)]

        async def start(number: int, claude: RawUpstream) -> Instance:
            folder, exporter_port = tmp_path / f"metrics-{number}", stack.enter_context(reserved_port())
            counting = {"PROMETHEUS_MULTIPROC_DIR": str(folder), "CLAUDE_PROXY_EXPORTER_PORT": str(exporter_port)}
            serving = await stack.enter_async_context(serving_process(claude.base_url, tmp_path, **shared, **counting))
            return Instance(serving, folder, exporter_port)

        instances = list(await asyncio.gather(*(start(number, claude) for number, claude in enumerate(claudes))))
        port = stack.enter_context(reserved_port())
        process = start_balancer(balancer, tmp_path, port, [instance.serving.port for instance in instances])
        try:
            url = f"http://127.0.0.1:{port}"
            async with asyncio.timeout(3 * SECONDS), httpx2.AsyncClient(trust_env=False) as client:
                while process.poll() is None:
                    with contextlib.suppress(httpx2.TransportError):
                        if (await client.get(f"{url}/health")).status_code == 200:
                            break
                    await asyncio.sleep(0.05)
            assert process.poll() is None, "it ended at its start"
            yield Cluster(url, instances, claudes, script)
        finally:
            script.go_on.set()
            process.terminate()
            process.wait(60)


async def open_stream(client: openai.AsyncOpenAI) -> openai.AsyncStream[openai.types.chat.ChatCompletionChunk]:
    """Begin a stream, and read its first text."""
    stream = await client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "hi"}], stream=True
    )
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content == "first":
            return stream
    raise AssertionError("the stream ended before its first text")


async def rest_of(stream: openai.AsyncStream[openai.types.chat.ChatCompletionChunk]) -> str:
    return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
