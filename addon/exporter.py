"""Shows metrics to Prometheus: those of all processes that count in one folder, or those of this process."""

import asyncio
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import override

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from addon.metrics_folder import reap

__all__ = ["PROCESSES", "MetricsServer", "folder_registry"]

PROCESSES = "claude_proxy_processes"
"""The one metric that is not counted by the processes themselves."""

_TRIES = 5


class FolderCollector(Collector):
    """Adds up what the processes have counted, the dead ones' counters too, and only the living ones' gauges."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._sum = MultiProcessCollector(None, str(folder))  # type: ignore[no-untyped-call] # it has no annotations

    @override
    def collect(self) -> Iterable[Metric]:
        living = reap(self._folder)
        yield GaugeMetricFamily(PROCESSES, "Processes of the proxy that are alive.", len(living))
        yield from self._gather()

    def _gather(self) -> Iterable[Metric]:
        for _ in range(_TRIES - 1):
            try:
                return self._read()
            except (OSError, ValueError, struct.error):
                # A process has begun or ended in this moment: a file is half made, or gone.
                continue
        return self._read()

    def _read(self) -> Iterable[Metric]:
        found: Iterable[Metric] = self._sum.collect()  # type: ignore[no-untyped-call] # see __init__
        return found


def folder_registry(folder: Path) -> CollectorRegistry:
    """Make a registry that shows what the processes have counted in the folder."""
    registry = CollectorRegistry(support_collectors_without_names=True)
    registry.register(FolderCollector(folder))
    return registry


class MetricsServer:
    """Answers on a port of its own, in a thread, whatever the path.

    Raises:
        OSError: the address cannot be taken.
    """

    def __init__(self, host: str, port: int, registry: CollectorRegistry) -> None:
        self._server, self._thread = start_http_server(port, host, registry)
        self.port: int = self._server.server_port

    async def close(self) -> None:
        """Free the port."""
        await asyncio.to_thread(self._server.shutdown)
        self._server.server_close()
        self._thread.join()
