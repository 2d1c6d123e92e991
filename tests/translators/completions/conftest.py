"""A translated Completions request, and the answer that a client reads out of the translation of Claude's events."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from openai.types import Completion

from tests.translators.claude_messages import Events
from translators.claude_events import parse_event
from translators.completions.chunk import encode_chunk
from translators.completions.request import (
    CompletionContext,
    CompletionPlan,
    TranslatedCompletion,
    translate_request,
)
from translators.completions.request_body import parse_request
from translators.completions.response import CompletionBuilder, encode_usage_chunk
from translators.completions.stream import CompletionStream
from translators.model_catalog import ModelCatalog

COMPLETION_ID = "cmpl-0123456789abcdefghijklmnopqrs"
CREATED = 1_795_000_000

type Chunks = list[dict[str, Any]]


@pytest.fixture(scope="session")
def translate() -> Callable[..., TranslatedCompletion]:
    def translate(*, limit: int | None = None, **body: Any) -> TranslatedCompletion:
        request = parse_request(msgspec.json.encode({"model": "gpt-3.5-turbo-instruct", "prompt": "Once", **body}))
        return translate_request(request, CompletionContext(ModelCatalog("claude-sonnet-5-5"), limit))

    return translate


def read_answer(
    events: Events, plan: CompletionPlan, echo: str = ""
) -> tuple[CompletionStream, Chunks, dict[str, Any]]:
    """Translate events to chunks and to a whole answer, each checked by the package's types and against the other."""
    stream = CompletionStream(plan, COMPLETION_ID, CREATED, echo=echo)
    builder = CompletionBuilder(plan, COMPLETION_ID, CREATED)
    parsed = [parse_event(json.dumps(event).encode()) for event in events]
    chunks = [chunk for event in parsed if event is not None for chunk in stream.translate(event)]
    chunks += stream.finish()
    for chunk in chunks:
        builder.add(chunk)
    decoded = [json.loads(encode_chunk(chunk).removeprefix(b"data: ")) for chunk in chunks]
    whole = json.loads(builder.build([stream.usage]))
    Completion.model_validate(whole, strict=True)
    assert whole["choices"][0]["text"] == "".join(chunk["choices"][0]["text"] for chunk in decoded)
    reasons = [reason for chunk in decoded if (reason := chunk["choices"][0]["finish_reason"])]
    assert reasons == [whole["choices"][0]["finish_reason"]]
    if plan.include_usage:
        usage_chunk = encode_usage_chunk(plan, COMPLETION_ID, CREATED, [stream.usage])
        decoded.append(json.loads(usage_chunk.removeprefix(b"data: ")))
    return stream, decoded, whole


@pytest.fixture(scope="session")
def read() -> Callable[..., tuple[CompletionStream, Chunks, dict[str, Any]]]:
    def read(
        events: Sequence[dict[str, Any]], plan: CompletionPlan | None = None, echo: str = ""
    ) -> tuple[CompletionStream, Chunks, dict[str, Any]]:
        return read_answer(list(events), plan or CompletionPlan("davinci-002"), echo)

    return read
