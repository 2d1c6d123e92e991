"""A real Prometheus scrapes a real exporter, and every query of the dashboard shows something."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from http import HTTPStatus
from pathlib import Path

import pytest

from addon.observation.metrics_folder import FOLDER_VARIABLE
from tests.reserved_ports import reserved_port

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboard.json").read_text())
QUERIES = {
    f"{panel['title']} {target['refId']}": target["expr"]
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", ())
}
SECONDS = 200
COUNTING = """
import asyncio
from dataclasses import replace
from addon.observation.metrics import Metrics
from tests.addon.observation.test_metrics import CATALOG, ENDING, FIGURES
from translators.translation_warning import TranslationWarning

async def count():
    metrics = Metrics()
    metrics.watch_event_loop()
    warned = replace(FIGURES, warnings=(TranslationWarning("seed", "ignored"),), cache="miss")
    while True:
        for outcome, status in (("ok", 200), ("client_error", 400), ("upstream_error", 503), ("client_left", None)):
            metrics.observe_start(ENDING.endpoint)
            metrics.observe_end(replace(ENDING, outcome=outcome, status=status), warned, CATALOG)
        for status in ("200", "429", "529", "timeout"):
            metrics.observe_upstream(status)
        metrics.observe_retry()
        metrics.observe_fallback("claude-haiku-4-5", 529)
        metrics.observe_refusal("size")
        metrics.observe_unknown_event()
        await asyncio.sleep(0.1)

asyncio.run(count())
"""


@pytest.fixture
def port():
    with reserved_port() as reserved:
        yield reserved


@pytest.fixture
def prometheus(tmp_path, port):
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed (Debian: prometheus)")
    folder = tmp_path / "metrics"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), FOLDER_VARIABLE: str(folder)}
    processes = [subprocess.Popen([sys.executable, "-c", COUNTING], env=environment)]
    try:
        exporter = subprocess.Popen(
            [sys.executable, "-m", "addon.commands.cli", "exporter", "--port", "0"],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(exporter)
        exported = re.search(r":(\d+)/metrics", exporter.stderr.readline())[1]
        configuration = tmp_path / "prometheus.yaml"
        configuration.write_text(
            "global: {scrape_interval: 1s}\n"
            "scrape_configs:\n"
            f"  - {{job_name: claude-proxy, static_configs: [{{targets: ['127.0.0.1:{exported}']}}]}}\n"
        )
        command = [program, f"--config.file={configuration}", f"--storage.tsdb.path={tmp_path / 'data'}"]
        command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
        processes.append(subprocess.Popen(command))
        yield f"http://127.0.0.1:{port}"
    finally:
        for process in reversed(processes):
            process.terminate()
            process.communicate(timeout=60)


def values_of(prometheus: str, query: str) -> list[float]:
    filled = query.replace("$__rate_interval", "30s").replace("$__range", "2m").replace("$job", "claude-proxy")
    url = f"{prometheus}/api/v1/query?{urllib.parse.urlencode({'query': filled})}"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
            raise
        return []  # it has not finished starting
    except OSError:
        return []  # it has not begun to listen
    assert found["status"] == "success"
    return [number for result in found["data"]["result"] if (number := float(result["value"][1])) == number]


def test_every_query_of_the_dashboard_shows_something(prometheus):
    waiting = dict(QUERIES)
    latest = time.monotonic() + SECONDS
    while waiting and time.monotonic() < latest:
        waiting = {name: query for name, query in waiting.items() if not values_of(prometheus, query)}
        time.sleep(1)
    assert waiting == {}
