"""The soak finds nothing in a short run, and would find whatever it looks for."""

import contextlib
import dataclasses
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from scripts.soak_checks import Page, Rest, Seen, Tally, judge

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors and memory are read from /proc")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_short_soak_finds_nothing(monkeypatch, workers):
    monkeypatch.syspath_prepend(SCRIPTS)
    from soak_kinds import KINDS

    command = [sys.executable, SCRIPTS / "soak.py", "--seconds", "10", "--workers", str(workers)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=580, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {
        line.rpartition("  ")[0].split("  ")[0] for line in done.stdout.splitlines() if line.endswith((" ok", "FAILED"))
    }
    serving = ["serve"] if workers == 1 else ["worker 1", "worker 2"]
    of_tasks = {f"asyncio tasks, {name}" for name in serving}
    assert {row for row in rows if row.startswith("asyncio tasks")} == of_tasks
    assert (judged(SEEN).keys() - {"asyncio tasks, serve"}) | {f"open descriptors, {name}" for name in serving} <= rows
    load = re.findall(r"\d+ (\w+)", done.stdout.partition("load: ")[2].partition("\n")[0])
    assert set(load) == {kind.__name__ for kind in KINDS}


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors and memory are read from /proc")
def test_a_soak_that_is_ended_says_where_its_log_is(tmp_path):
    command = [sys.executable, SCRIPTS / "soak.py", "--seconds", "60"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as soak:
        while not list(tmp_path.glob("claude-proxy-soak-*/stderr")):
            assert soak.poll() is None
            time.sleep(0.05)
        soak.send_signal(signal.SIGTERM)
        said = soak.communicate(timeout=200)[1]
    assert soak.returncode == 1
    [folder] = tmp_path.glob("claude-proxy-soak-*")
    assert f"The log is in {folder}." in said
    left = [path.parent.name for path in Path("/proc").glob("[0-9]*/cmdline") if str(folder) in read(path)]
    assert left == []


def read(path: Path) -> str:
    with contextlib.suppress(OSError):  # it has just ended
        return path.read_text()
    return ""


def exchange(
    request_id: str, endpoint: str = "chat_completions", model: str | None = "claude", cache: str | None = None
) -> dict[str, Any]:
    return {
        **({"cache": cache} if cache else {}),
        "event": "exchange",
        "level": "info",
        "request_id": request_id,
        "endpoint": endpoint,
        "claude_model": model,
    }


def page_of(
    *,
    chats: int = 2,
    lists: int = 1,
    durations: int = 2,
    models: int = 2,
    in_flight: int = 0,
    hits: int = 1,
    limited: int = 1,
) -> Page:
    return Page.parse(f"""
# TYPE claude_proxy_requests_in_flight gauge
claude_proxy_requests_in_flight{{endpoint="chat_completions"}} {in_flight}
claude_proxy_requests_in_flight{{endpoint="metrics"}} 1
# TYPE claude_proxy_requests_total counter
claude_proxy_requests_total{{endpoint="chat_completions",outcome="ok"}} 1
claude_proxy_requests_total{{endpoint="chat_completions",outcome="client_left"}} {chats - 1}
claude_proxy_requests_total{{endpoint="models",outcome="ok"}} {lists}
# TYPE claude_proxy_request_duration_seconds histogram
claude_proxy_request_duration_seconds_bucket{{endpoint="chat_completions",le="+Inf"}} {durations}
claude_proxy_request_duration_seconds_count{{endpoint="chat_completions"}} {durations}
claude_proxy_request_duration_seconds_sum{{endpoint="chat_completions"}} 0.5
claude_proxy_request_duration_seconds_bucket{{endpoint="models",le="+Inf"}} 1
claude_proxy_request_duration_seconds_count{{endpoint="models"}} 1
claude_proxy_request_duration_seconds_sum{{endpoint="models"}} 0.5
# TYPE gen_ai_server_request_duration_seconds histogram
gen_ai_server_request_duration_seconds_bucket{{error_type="",le="+Inf"}} {models - 1}
gen_ai_server_request_duration_seconds_count{{error_type=""}} {models - 1}
gen_ai_server_request_duration_seconds_bucket{{error_type="client_left",le="+Inf"}} 1
gen_ai_server_request_duration_seconds_count{{error_type="client_left"}} 1
# TYPE claude_proxy_cache_requests_total counter
claude_proxy_cache_requests_total{{outcome="hit"}} {hits}
claude_proxy_cache_requests_total{{outcome="miss"}} 1
# TYPE claude_proxy_refused_total counter
claude_proxy_refused_total{{reason="auth"}} 7
claude_proxy_refused_total{{reason="rate"}} {limited}
""")


LINES = [
    exchange("req_1", cache="miss"),
    exchange("req_2", cache="hit"),
    exchange("req_3", "models", None),
    exchange("req_5", "metrics", None),
    {"event": "refused", "level": "info", "request_id": "req_4"},
    {"event": "batch", "level": "info"},
    {"event": "settings_reloaded", "level": "info", "changed": ["claude.aliases"]},
    {"event": "settings_reloaded", "level": "info", "changed": []},
    {"event": "background_response", "level": "info"},
]
TALLY = Tally(
    requests=5,
    background=1,
    request_ids=["req_1", "req_3", "req_4", "req_5"],
    ended_at_claude=[0.01],
    batches=1,
    given_again=1,
    limited=1,
    reloads=1,
    scrapes=3,
)
REST = {
    "serve": Rest(descriptors=20, tasks=Counter({"serve": 3}), mib=150.0),
    "exporter": Rest(descriptors=9, tasks=Counter(), mib=80.0),
}
SEEN = Seen(LINES, "Claude Proxy listens", TALLY, page_of(), page_of(), warm=REST, end=REST)


def judged(seen: Seen) -> dict[str, bool]:
    checks = judge(seen, model_endpoints=["chat_completions"], memory_growth=0.1)
    return {check.name: check.holds for check in checks}


def with_tally(**changes: Any) -> Seen:
    return dataclasses.replace(SEEN, tally=dataclasses.replace(TALLY, **changes))


def with_end(name: str = "serve", **changes: Any) -> Seen:
    return dataclasses.replace(SEEN, end={**REST, name: dataclasses.replace(REST[name], **changes)})


def with_lines(*lines: dict[str, Any]) -> Seen:
    return dataclasses.replace(SEEN, lines=list(lines))


REQUESTS = "exchange lines, refused lines"
TOTALS = "claude_proxy_requests_total", "claude_proxy_request_duration_seconds"
EXPORTED = "claude_proxy_requests_total at the exporter"
CACHED = "claude_proxy_cache_requests_total"
GIVEN_AGAIN = "answers given again"
SCRAPES = "times that the exporter was asked, counts that fell"
LIMITED = "claude_proxy_refused_total, by a limit"
OF_MODELS = "gen_ai_server_request_duration_seconds"
LEFT = "calls of clients who left, ended at Claude"


@pytest.mark.parametrize(
    ("seen", "failing"),
    [
        (SEEN, set()),
        (with_tally(mistakes=["stream: no end"]), {"answers that were wrong"}),
        (dataclasses.replace(SEEN, page=page_of(in_flight=1)), {"requests in flight"}),
        (with_end(tasks=Counter({"serve": 3, "exchange #": 1})), {"asyncio tasks, serve"}),
        (with_end(descriptors=22), set()),
        (with_end(descriptors=23), {"open descriptors, serve"}),
        (with_end("exporter", descriptors=12), {"open descriptors, exporter"}),
        (with_end(mib=164.0), set()),
        (with_end(mib=166.0), {"resident memory, serve, MiB"}),
        (with_end("exporter", mib=90.0), {"resident memory, exporter, MiB"}),
        (dataclasses.replace(SEEN, end={"serve": REST["serve"]}), {"processes"}),
        (with_tally(requests=6), {REQUESTS}),
        (with_lines(*LINES, exchange("req_1")), {REQUESTS, "request ids logged twice", *TOTALS, EXPORTED, OF_MODELS}),
        (with_lines(*LINES, LINES[4]), {REQUESTS, "request ids logged twice"}),
        (
            with_lines(*LINES[1:]),
            {REQUESTS, "request ids of answers not in the log", *TOTALS, EXPORTED, OF_MODELS, CACHED},
        ),
        (dataclasses.replace(SEEN, page=page_of(chats=3)), {TOTALS[0]}),
        (dataclasses.replace(SEEN, page=page_of(chats=1, lists=2)), {TOTALS[0]}),
        (dataclasses.replace(SEEN, page=page_of(durations=3)), {TOTALS[1]}),
        (dataclasses.replace(SEEN, page=page_of(models=3)), {OF_MODELS}),
        (dataclasses.replace(SEEN, exported=page_of(chats=1)), {EXPORTED}),
        (dataclasses.replace(SEEN, page=page_of(hits=2)), {CACHED}),
        (with_lines(exchange("req_1", cache="hit"), *LINES[1:]), {CACHED, GIVEN_AGAIN}),
        (with_tally(given_again=2), {GIVEN_AGAIN}),
        (dataclasses.replace(SEEN, page=page_of(limited=2)), {LIMITED}),
        (dataclasses.replace(with_tally(limited=0), page=page_of(limited=0)), {LIMITED}),
        (with_tally(scrapes=0), {SCRAPES}),
        (with_tally(fallen=["responses"]), {SCRAPES}),
        (with_tally(batches=2), {"batch lines"}),
        (with_tally(reloads=2), {"settings_reloaded lines with a change"}),
        (with_lines(*LINES[:-1]), {"background_response lines"}),
        (with_lines(*LINES, {"event": "task_failed", "level": "error"}), {"log lines of level error"}),
        (with_lines(*LINES, {"event": "odd", "level": "warning", "exception": "Traceback ..."}), {"tracebacks"}),
        (dataclasses.replace(SEEN, standard_error="Traceback (most recent call last):"), {"tracebacks"}),
        (with_tally(not_ended=["Say something about soak-1-."]), {LEFT}),
        (with_tally(ended_at_claude=[]), {LEFT}),
    ],
    ids=[
        "all-is-well",
        "wrong-answer",
        "in-flight",
        "task",
        "store-opened",
        "descriptors",
        "descriptors-of-the-exporter",
        "some-memory",
        "memory",
        "memory-of-the-exporter",
        "process-gone",
        "no-line",
        "two-lines",
        "refused-twice",
        "answer-without-line",
        "counted-twice",
        "wrong-endpoint",
        "observed-twice",
        "model-observed-twice",
        "exporter-misses-one",
        "hit-counted-twice",
        "hit-logged-for-a-miss",
        "hit-not-logged",
        "limit-counted-twice",
        "nobody-limited",
        "never-scraped",
        "count-fell",
        "batch",
        "reload",
        "background",
        "error",
        "exception",
        "traceback",
        "call-not-ended",
        "nobody-left",
    ],
)
def test_each_check_finds_what_it_looks_for(seen, failing):
    assert {name for name, holds in judged(seen).items() if not holds} == failing
