"""Shows metrics to Prometheus: those of all processes that count in one folder, or those of this process."""

from collections.abc import Iterable
from pathlib import Path
from typing import override

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from addon.observation.metric_table import METRICS
from addon.observation.metrics_folder import reap

__all__ = ["MetricsServer", "folder_registry"]

_PROCESSES = next(metric for metric in METRICS if metric.name == "claude_proxy_processes")


class FolderCollector(Collector):
    """Adds up what the processes have counted, the dead ones' counters too, and only the living ones' gauges."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @override
    def collect(self) -> Iterable[Metric]:
        living = reap(self._folder)
        yield GaugeMetricFamily(_PROCESSES.name, _PROCESSES.help, len(living))
        # A process that has just begun has an empty file, and one that was killed then leaves it for ever.
        files = [str(file) for file in self._folder.glob("*.db") if _size(file) > 0]
        yield from MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call] # it has no annotations


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


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

    def close(self) -> None:
        """Free the port, which takes up to half a second."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
