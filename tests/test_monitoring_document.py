"""docs/monitoring.md names every metric and every attribute of a span as the code has them."""

from pathlib import Path

from addon.observation.metric_table import METRICS
from addon.observation.tracing import GEN_AI_SCHEMA, SPAN_ATTRIBUTES

ROOT = Path(__file__).parents[1]


def test_the_table_of_metrics_is_that_of_the_code():
    _, _, table = (ROOT / "docs/monitoring.md").read_text().partition("| metric | kind |")
    rows = []
    for metric in METRICS:
        labels = " ".join(f"`{label}`" for label in metric.labels)
        rows.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |")
    assert table.partition("\n\n")[0].splitlines()[2:] == rows


def test_the_table_of_attributes_is_that_of_the_code():
    text = (ROOT / "docs/monitoring.md").read_text()
    _, _, table = text.partition("| attribute | meaning |")
    rows = [f"| `{name}` | {meaning} |" for name, meaning in SPAN_ATTRIBUTES.items()]
    assert table.partition("\n\n")[0].splitlines()[2:] == rows
    assert f"version {GEN_AI_SCHEMA.rpartition('/')[2]}" in text
