"""Dashboard and alerts name what the code counts, with its labels and values, in queries that Prometheus takes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import get_args

import pytest
import yaml

from addon.observation.metric_table import METRICS
from addon.observation.metrics import Outcome, Phase, RefusalReason
from addon.routing import Endpoint

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana/dashboard.json").read_text())
RULES = yaml.safe_load((DEPLOY / "prometheus/alerts.yaml").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]

LABELS = {metric.name: {*metric.labels} for metric in METRICS} | {"up": set()}
HISTOGRAMS = {metric.name for metric in METRICS if metric.kind == "histogram"}
COUNTERS = {metric.name for metric in METRICS if metric.kind == "counter"}
OF_PROMETHEUS = {"job", "instance"}
VALUES = {
    "endpoint": {endpoint.value for endpoint in Endpoint},
    "outcome": {*get_args(Outcome.__value__)},
    "phase": {*get_args(Phase.__value__)},
    "reason": {*get_args(RefusalReason.__value__)},
    "kind": {"input", "output", "cache_read", "cache_write"},
}

QUERIES = [
    *(
        pytest.param(target["expr"], id=f"{panel['title']}-{target['refId']}")
        for panel in PANELS
        for target in panel["targets"]
    ),
    *(pytest.param(rule["expr"], id=rule["alert"]) for group in RULES["groups"] for rule in group["rules"]),
]
SELECTOR = re.compile(r"\b((?:claude_proxy|gen_ai)_[a-z_]+|up)\b(?:\{([^}]*)\})?(\[)?")
MATCHER = re.compile(r'([a-z_]+)(=~|!~|!=|=)"([^"]*)"')
GROUPING = re.compile(r"\bby \(([^)]*)\)")


def named(query: str) -> list[tuple[str, str, str, bool]]:
    """Find the metrics of a query: name in the table, its suffix, the matchers, whether a range is taken of it."""
    found = []
    for series, matchers, is_range in SELECTOR.findall(GROUPING.sub("", query)):
        suffix = next((end for end in ("_bucket", "_sum", "_count") if series.removesuffix(end) in HISTOGRAMS), "")
        found.append((series.removesuffix(suffix), suffix, matchers, bool(is_range)))
    return found


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_names_metrics_labels_and_values_that_there_are(query):
    metrics = named(query)
    assert metrics
    for name, suffix, matchers, is_range in metrics:
        assert name in LABELS
        assert bool(suffix) == (name in HISTOGRAMS), "a histogram is asked for its buckets, its sum or its count"
        assert is_range == (name in COUNTERS | HISTOGRAMS), "of counters one wants the rate"
        for label, _, value in MATCHER.findall(matchers):
            assert label in LABELS[name] | OF_PROMETHEUS
            if label in VALUES and not value.startswith("$"):
                assert set(value.split("|")) <= VALUES[label]
    for group in GROUPING.findall(query):
        for label in (item.strip() for item in group.split(",")):
            assert all(
                label in LABELS[name] | OF_PROMETHEUS | ({"le"} if suffix == "_bucket" else set())
                for name, suffix, _, _ in metrics
            ), label


@pytest.mark.parametrize(
    ("text", "query"),
    [(target["legendFormat"], target["expr"]) for panel in PANELS for target in panel["targets"]]
    + [
        (" ".join(rule["annotations"].values()).replace("$labels.", ""), rule["expr"])
        for group in RULES["groups"]
        for rule in group["rules"]
    ],
)
def test_a_legend_names_labels_that_its_query_leaves(text, query):
    labels = set(re.findall(r"\{\{ ?([a-z_]+) ?\}\}", text))
    left = {item.strip() for group in GROUPING.findall(query) for item in group.split(",")}
    assert labels <= (left if "sum" in query else OF_PROMETHEUS)


def test_every_metric_is_in_the_dashboard():
    shown = {name for panel in PANELS for target in panel["targets"] for name, *_ in named(target["expr"])}
    told_otherwise = {"claude_proxy_build_info", "claude_proxy_request_duration_seconds"}
    """Versions are of one process alone; the duration of the answers of Claude is the `gen_ai_` one."""
    assert {metric.name for metric in METRICS} - shown == told_otherwise


def test_the_dashboard_can_be_provisioned_anywhere():
    assert DASHBOARD["schemaVersion"] == 39
    assert "id" not in DASHBOARD
    assert all("id" not in panel for panel in DASHBOARD["panels"])
    assert {panel["datasource"]["uid"] for panel in PANELS} == {"${datasource}"}
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == ["datasource", "job"]


def test_no_panel_covers_another():
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in DASHBOARD["panels"]):
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken
        taken |= cells


def test_a_single_number_is_red_for_a_reason_alone():
    """Grafana paints whatever is above 80 red, unless a panel has steps of its own."""
    for panel in PANELS:
        if panel["type"] in {"stat", "bargauge"}:
            assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"]


LIMITED = [panel for panel in PANELS if "thresholdsStyle" in panel["fieldConfig"]["defaults"].get("custom", {})]


@pytest.mark.parametrize("panel", LIMITED, ids=[panel["title"] for panel in LIMITED])
def test_a_dashed_line_is_where_an_alert_on_the_same_metric_is_raised(panel):
    [_, step] = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    shown = {name for target in panel["targets"] for name, *_ in named(target["expr"])}
    limits = {
        float(rule["expr"].rpartition(">")[2])
        for group in RULES["groups"]
        for rule in group["rules"]
        if ">" in rule["expr"] and {name for name, *_ in named(rule["expr"])} <= shown
    }
    assert step["value"] in limits


# What Prometheus itself says.


@pytest.fixture(scope="session")
def promtool():
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")

    def run(*arguments):
        ended = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr

    return run


def test_prometheus_takes_its_configuration_and_the_alerts(promtool):
    promtool("check", "config", DEPLOY / "prometheus/prometheus.yaml")
    promtool("check", "rules", DEPLOY / "prometheus/alerts.yaml")


def test_prometheus_takes_every_query_of_the_dashboard(promtool, tmp_path):
    queries = [target["expr"] for panel in PANELS for target in panel["targets"]]
    filled = [re.sub(r"\$__(rate_interval|range)", "5m", query).replace("$job", "claude-proxy") for query in queries]
    rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(filled)]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", file)


def test_the_alerts_are_raised_when_they_should_and_not_otherwise(promtool):
    promtool("test", "rules", Path(__file__).parent / "alerts_test.yaml")
