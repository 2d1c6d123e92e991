"""What the metrics hold of an exchange, and that no client can make them grow."""

import asyncio
import random
import time
from dataclasses import replace
from typing import Any, get_args

import pytest

from addon.observation.figures import Figures
from addon.observation.metric_table import METRICS
from addon.observation.metrics import OTHER, Ending, Metrics, Phase, RefusalReason, refusal_reason
from addon.routing import Endpoint
from translators.errors import OpenAIError
from translators.model_catalog import ModelCatalog
from translators.translation_warning import TranslationWarning

CATALOG = ModelCatalog("claude-sonnet-5-5", {"gpt-4o": "claude-opus-5-5", "gpt-*": "claude-haiku-5-5"})
ENDING = Ending(
    endpoint=Endpoint.CHAT_COMPLETIONS,
    mode="reverse",
    outcome="ok",
    status=200,
    started=100.0,
    ended=104.0,
    overhead=0.002,
    has_body=True,
)
FIGURES = Figures(
    model="gpt-4o",
    claude_model="claude-opus-5-5",
    response_model="claude-opus-5-5",
    stream=True,
    input_tokens=100,
    cached_tokens=60,
    cache_write_tokens=30,
    output_tokens=21,
    cost=0.25,
    writes=5,
    asked_claude=100.001,
    first_event=101.999,
    first_byte=102.0,
)
GEN_AI = {
    "gen_ai_operation_name": "chat",
    "gen_ai_provider_name": "anthropic",
    "gen_ai_original_model": "gpt-4o",
    "gen_ai_request_model": "claude-opus-5-5",
    "gen_ai_response_model": "claude-opus-5-5",
}


@pytest.fixture
def metrics(monkeypatch):
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    return Metrics()


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    found: float | None = metrics.registry.get_sample_value(name, labels)
    return found


def observe(metrics: Metrics, ending: Ending = ENDING, figures: Figures = FIGURES) -> None:
    metrics.observe_start(ending.endpoint)
    metrics.observe_end(ending, figures, CATALOG)


def series(metrics: Metrics) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    samples = [sample for family in metrics.registry.collect() for sample in family.samples]
    return {(sample.name, tuple(sorted(sample.labels.items()))) for sample in samples}


def test_every_row_of_the_table_is_there_from_the_start_or_once_it_is_counted(metrics):
    observe(metrics)
    observe(metrics, figures=replace(FIGURES, warnings=(TranslationWarning("seed", "ignored"),), cache="miss"))
    metrics.observe_upstream("200")
    metrics.observe_fallback("claude-haiku-5-5", 503)
    shown = {family.name for family in metrics.registry.collect() if family.samples}
    named = {metric.name.removesuffix("_total") for metric in METRICS if metric.shown != "by_the_exporter"}
    assert named <= shown
    assert {name for name in shown - named if not name.startswith("process_")} == set()


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_follow_the_rules_of_prometheus(metric):
    # https://prometheus.io/docs/practices/naming/
    assert metric.name.startswith(("gen_ai_", "claude_proxy_"))
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert metric.help.endswith(".")


def test_a_streamed_exchange_is_observed_once_in_each_metric(metrics):
    observe(metrics)
    assert value(metrics, "claude_proxy_requests_in_flight", endpoint="chat_completions") == 0
    labels = {"endpoint": "chat_completions", "mode": "reverse", "stream": "true", "status_class": "2xx"}
    assert value(metrics, "claude_proxy_requests_total", outcome="ok", **labels) == 1
    sums = {
        "gen_ai_server_request_duration_seconds": (4.0, {**GEN_AI, "error_type": ""}),
        "gen_ai_server_time_to_first_token_seconds": (2.0, GEN_AI),
        "gen_ai_server_time_per_output_token_seconds": (0.1, GEN_AI),
        "claude_proxy_request_duration_seconds": (4.0, {"endpoint": "chat_completions"}),
        "claude_proxy_time_per_chunk_seconds": (0.5, {"endpoint": "chat_completions"}),
        "claude_proxy_overhead_seconds": (0.002, {"endpoint": "chat_completions"}),
    }
    for name, (total, labels) in sums.items():
        assert value(metrics, f"{name}_count", **labels) == 1, name
        assert value(metrics, f"{name}_sum", **labels) == pytest.approx(total), name


def test_U4_kinds_of_tokens_overlap_only_where_the_conventions_want_it(metrics):
    observe(metrics)
    kinds = {"input": 100, "output": 21, "cached_input": 60, "cache_creation_input": 30}
    for kind, count in kinds.items():
        assert value(metrics, "gen_ai_client_token_usage_sum", **GEN_AI, gen_ai_token_type=kind) == count
    for kind, count in {"input": 10, "output": 21, "cache_read": 60, "cache_write": 30}.items():
        assert value(metrics, "claude_proxy_tokens_total", model="claude-opus-5-5", kind=kind) == count
    assert value(metrics, "claude_proxy_cost_dollars_total", model="claude-opus-5-5") == 0.25


@pytest.mark.parametrize(
    "figures",
    [
        Figures(),
        replace(FIGURES, output_tokens=0, writes=0),
        replace(FIGURES, output_tokens=1, writes=1),
        replace(FIGURES, first_byte=None),
        replace(FIGURES, input_tokens=0, output_tokens=0),
    ],
    ids=["nothing", "no_output", "one_token", "no_byte", "no_tokens"],
)
def test_X3_nothing_is_divided_by_zero(metrics, figures):
    observe(metrics, figures=figures)
    infinite = [
        sample
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.value in (float("inf"), float("-inf")) or sample.value != sample.value
    ]
    assert infinite == []


@pytest.mark.parametrize(
    ("ending", "phase"),
    [
        ({"status": None, "has_body": False}, "request"),
        ({"status": None}, "waiting"),
        ({"status": 200}, "answering"),
        ({"status": 429}, "answering"),
    ],
    ids=["request", "waiting", "answering", "refused"],
)
def test_E7_a_client_that_leaves_is_counted_with_its_phase_and_as_no_failure_of_claude(metrics, ending, phase):
    observe(metrics, replace(ENDING, outcome="client_left", **ending))
    assert {
        name: value(metrics, "claude_proxy_client_disconnects_total", phase=name) for name in get_args(Phase.__value__)
    } == {name: float(name == phase) for name in get_args(Phase.__value__)}
    assert value(metrics, "gen_ai_server_request_duration_seconds_count", **GEN_AI, error_type="client_left") == 1
    assert value(metrics, "gen_ai_server_request_duration_seconds_count", **GEN_AI, error_type="") is None


@pytest.mark.parametrize("endpoint", Endpoint, ids=lambda endpoint: endpoint.value)
def test_every_endpoint_can_be_observed(metrics, endpoint):
    observe(metrics, replace(ENDING, endpoint=endpoint), Figures())
    assert value(metrics, "claude_proxy_request_duration_seconds_count", endpoint=endpoint.value) == 1


@pytest.mark.parametrize(
    ("asked", "label"),
    [
        ("gpt-4o", "gpt-4o"),
        ("gpt-4o-mini-2024-07-18", "gpt-*"),
        ("claude-haiku-5-5", "claude-haiku-5-5"),
        ("claude-of-tomorrow", OTHER),
        ("o3", OTHER),
        (None, OTHER),
    ],
)
def test_a_models_label_is_the_catalogs_or_the_operators_word(metrics, asked, label):
    observe(metrics, figures=replace(FIGURES, model=asked))
    labels = {**GEN_AI, "gen_ai_original_model": label}
    assert value(metrics, "gen_ai_server_time_to_first_token_seconds_count", **labels) == 1


@pytest.mark.parametrize(
    ("param", "label"),
    [
        ("seed", "seed"),
        ("stream_options.include_obfuscation", "stream_options.include_obfuscation"),
        ("messages.content.image_url.detail", "messages"),
        ("tools.strict", "tools"),
        ("unknown", OTHER),
        ("top_k", OTHER),
    ],
)
def test_a_warnings_label_is_a_row_of_the_tables_of_parameters(metrics, param, label):
    observe(metrics, figures=replace(FIGURES, warnings=(TranslationWarning(param, "ignored"),)))
    assert value(metrics, "claude_proxy_translation_warnings_total", param=label, action="ignored") == 1


def test_X2_a_thousand_names_that_clients_make_up_add_no_series(metrics):
    chance = random.Random(1)

    def made_up() -> str:
        return "".join(chance.choices('abcdefghij.-/{}"\n', k=12))

    def observe_made_up() -> None:
        name = made_up()
        warnings = (TranslationWarning(made_up(), "ignored"),)
        models: dict[str, Any] = {"model": name, "claude_model": f"claude-{name}", "response_model": made_up()}
        observe(metrics, figures=replace(FIGURES, **models, warnings=warnings))

    observe_made_up()
    before = series(metrics)
    for _ in range(1000):
        observe_made_up()
    assert series(metrics) == before


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (401, None, "auth"),
        (403, "metrics_not_shown", "auth"),
        (404, None, "not_found"),
        (405, None, "not_found"),
        (413, "request_too_large", "size"),
        (429, "rate_limit_exceeded", "rate"),
        (400, "invalid_value", "request"),
        (503, "shutting_down", "draining"),
        (503, "store_unavailable", "store"),
        (502, "upstream_unreachable", None),
        (500, None, None),
    ],
)
def test_a_refusals_reason_is_one_of_a_few_words(status, code, reason):
    assert refusal_reason(OpenAIError(status, "no", code=code)) == reason
    assert reason is None or reason in get_args(RefusalReason.__value__)


def test_few_refusals_and_disconnects_are_there_before_the_first(metrics):
    for reason in get_args(RefusalReason.__value__):
        assert value(metrics, "claude_proxy_refused_total", reason=reason) == 0


async def test_a_loop_that_is_held_up_shows_its_lag(metrics, monkeypatch):
    monkeypatch.setattr("addon.observation.metrics._LAG_SECONDS", 0.02)
    watch = metrics.watch_event_loop()
    try:
        await asyncio.sleep(0.01)
        time.sleep(0.3)  # noqa: ASYNC251 - what should not happen
        await asyncio.sleep(0.03)
    finally:
        await watch.stop()
    lag = "claude_proxy_event_loop_lag_seconds"
    assert value(metrics, f"{lag}_count") >= 1
    assert value(metrics, f"{lag}_sum") > 0.2
    assert value(metrics, f"{lag}_bucket", le="0.25") < value(metrics, f"{lag}_count")
