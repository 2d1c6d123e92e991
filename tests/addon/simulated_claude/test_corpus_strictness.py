"""The recorded traffic judges the judge: what Claude took is taken, what it refused is refused in the same words."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import aiohttp

from addon.simulated_claude import input_blocks, tool_definitions
from addon.simulated_claude.errors import ClaudeError
from addon.simulated_claude.input_blocks import BETA_BLOCKS
from addon.simulated_claude.model_table import RETIRED_MODELS, find_model
from addon.simulated_claude.requests import CountTokensRequest, MessageRequest
from addon.simulated_claude.server import SimulationSettings, start
from addon.simulated_claude.shapes import Shape
from addon.simulated_claude.tokens import count_input_tokens
from addon.simulated_claude.tool_definitions import BETA_TOOLS
from addon.simulated_claude.validation import check_request

# The recordings do not tell which beta headers were sent.
BETAS = {
    *(header for headers in [*BETA_BLOCKS.values(), *BETA_TOOLS.values()] for header in headers),
    "context-management-2025-06-27",
    "structured-outputs-2025-11-13",
    "task-budgets-2026-03-13",
}
HEADERS = {"anthropic-version": "2023-06-01", "anthropic-beta": ",".join(sorted(BETAS))}
STAND_IN = "claude-sonnet-4-5"  # the oldest living model, whose rules are the nearest to those of the retired ones

TOLERATED_BY_CLAUDE_3 = {
    "test_anthropic_instrumentation_image_input_messages": "claude-3-5-sonnet took a JPEG that was declared as PNG",
}


def judged(record: dict[str, Any]) -> ClaudeError | None:
    body = record["request"]["body"]
    if body["model"] in RETIRED_MODELS:
        body = {**body, "model": STAND_IN, "max_tokens": min(body["max_tokens"], 64_000)}
    verdict = check_request(HEADERS, body)
    return verdict if isinstance(verdict, ClaudeError) else None


def test_no_recorded_request_that_claude_answered_is_refused(recorded_messages):
    accepted, refused = 0, {}
    for record in recorded_messages:
        if record["response"]["status"] != 200 or any(name in record["id"] for name in TOLERATED_BY_CLAUDE_3):
            continue
        error = judged(record)
        accepted += error is None
        if error is not None:
            refused[record["id"]] = error.message
    assert refused == {}
    assert accepted > 500


def test_the_exceptions_are_still_exceptions(recorded_messages):
    excused = [record for record in recorded_messages if any(name in record["id"] for name in TOLERATED_BY_CLAUDE_3)]
    assert excused
    for record in excused:
        assert record["request"]["body"]["model"] in RETIRED_MODELS
        assert judged(record) is not None


def test_recorded_refusals_are_refused_with_the_same_status_type_and_words(recorded_messages):
    judgeable = [record for record in recorded_messages if record["response"]["status"] in {400, 404}]
    assert len(judgeable) >= 3
    for record in judgeable:
        error = judged(record)
        recorded = record["response"]["body"]["error"]
        assert error is not None, record["id"]
        assert (error.status, error.error_type, error.message) == (
            record["response"]["status"],
            recorded["type"],
            recorded["message"],
        )


def test_requests_that_are_only_rate_limited_are_valid(recorded_messages):
    limited = [record for record in recorded_messages if record["response"]["status"] == 429]
    assert limited
    assert [judged(record) for record in limited] == [None] * len(limited)


def test_recorded_token_counts_are_valid_requests_and_plausible(corpus):
    lines = (corpus / "anthropic.count_tokens" / "pydantic-ai.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    checked = 0
    for record in records:
        if not record["request"] or record["response"]["status"] != 200:
            continue
        body = record["request"]["body"]
        verdict = check_request(HEADERS, body, counting=True)
        assert not isinstance(verdict, ClaudeError), (record["id"], verdict)
        model = find_model(body["model"])
        counted, real = count_input_tokens(body, model), record["response"]["body"]["input_tokens"]
        assert real / 3 <= counted <= real * 3, record["id"]
        checked += 1
    assert checked


def test_token_counts_are_near_those_of_the_recordings(recorded_messages):
    ratios = []
    for record in recorded_messages:
        usage = (record["response"].get("body") or {}).get("usage") if record["response"]["status"] == 200 else None
        model = find_model(record["request"]["body"]["model"])
        if not usage or not model or usage.get("server_tool_use"):
            continue
        real = sum(
            usage.get(name) or 0 for name in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
        )
        if real == 0:
            continue  # a recording whose figures were removed
        ratios.append(count_input_tokens(record["request"]["body"], model) / real)
    ratios.sort()
    assert len(ratios) > 50
    assert 0.6 < ratios[len(ratios) // 2] < 1.6


def test_the_fields_of_a_request_are_those_of_the_published_schema(corpus: Path):
    schemas = json.loads((corpus / "specs" / "anthropic.json").read_text())["components"]["schemas"]
    published = set(schemas["CreateMessageParams"]["properties"])
    ours = {field.alias or name for name, field in MessageRequest.model_fields.items()}
    assert published <= ours
    # What is ours alone is younger than the schema, or exists behind a beta header only.
    younger = {"diagnostics", "speed"}
    behind_a_header = {
        "billing_policy", "compaction", "context_management", "fallback_credit_token", "fallbacks", "mcp_servers",
        "output_format", "thread",
    }  # fmt: skip
    assert ours - published == younger | behind_a_header


def test_the_fields_of_a_token_count_are_those_of_the_published_schema(corpus: Path):
    schemas = json.loads((corpus / "specs" / "anthropic.json").read_text())["components"]["schemas"]
    published = set(schemas["CountMessageTokensParams"]["properties"])
    assert published <= set(CountTokensRequest.model_fields)


def test_blocks_and_tools_have_the_fields_of_the_published_schema(corpus: Path):
    schemas = json.loads((corpus / "specs" / "anthropic.json").read_text())["components"]["schemas"]
    ours: dict[str, set[str]] = {}
    for shape in [*vars(input_blocks).values(), *vars(tool_definitions).values()]:
        if not (isinstance(shape, type) and issubclass(shape, Shape) and "type" in shape.model_fields):
            continue
        if shape.model_config.get("extra") == "allow":
            continue  # known by name, outside the simulation
        for kind in get_args(shape.model_fields["type"].annotation):
            ours.setdefault(kind, set()).update(shape.model_fields)
    compared = []
    for name, schema in schemas.items():
        kind = (schema.get("properties") or {}).get("type", {}).get("const")
        belongs = name.startswith("Request") and name.endswith("Block")
        belongs = belongs or re.fullmatch(r"\w+_20\d{6}", name) is not None
        if kind in ours and belongs and not name.startswith(("Beta", "ServerToolCaller")):
            missing = set(schema["properties"]) - ours[kind]
            assert not missing, (name, missing)
            compared.append(kind)
    assert {"text", "image", "tool_use", "tool_result", "web_search_20260209", "bash_20250124"} <= set(compared)


async def test_recorded_streams_are_replayed_to_the_byte(recorded_messages):
    streams = [record for record in recorded_messages if record["response"].get("sse_text")][:40]
    assert streams
    running = await start(settings=SimulationSettings.instant())
    headers = {"x-api-key": "k", "anthropic-version": "2026-10-21"}
    async with aiohttp.ClientSession(running.base_url, headers=headers) as session:
        for record in streams:
            text = record["response"]["sse_text"]
            script = json.dumps({"raw": text, "chunk_bytes": 1000})
            words = f"[[simulate: {script}]]"
            body = {"model": "claude-opus-4-8", "max_tokens": 10, "messages": [{"role": "user", "content": words}]}
            async with session.post("/v1/messages", json=body) as response:
                assert await response.text() == text, record["id"]
    await running.close()
