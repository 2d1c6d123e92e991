"""Flows that go on to a host of ours, because nothing here answers what they ask; the log says what came of each."""

import time
from collections.abc import Iterator

import structlog
from mitmproxy import http

__all__ = ["PassedFlows"]

log = structlog.get_logger(__name__)


class PassedFlows:
    """Those that have not ended."""

    def __init__(self) -> None:
        self._by_id: dict[str, http.HTTPFlow] = {}

    def __iter__(self) -> Iterator[http.HTTPFlow]:
        return iter(tuple(self._by_id.values()))

    def add(self, flow: http.HTTPFlow) -> None:
        """Note that a flow goes on."""
        self._by_id[flow.id] = flow

    def end(self, flow: http.HTTPFlow) -> None:
        """Log a flow that has ended, if it is one of them, and forget it."""
        if self._by_id.pop(flow.id, None) is None:
            return
        log.info(
            "passed",
            host=flow.request.pretty_host[:200],
            method=flow.request.method[:16],
            path=flow.request.path.partition("?")[0][:200],
            status=flow.response.status_code if flow.response else None,
            duration=round(time.time() - flow.request.timestamp_start, 6),
            error=flow.error.msg[:200] if flow.error else None,
        )
