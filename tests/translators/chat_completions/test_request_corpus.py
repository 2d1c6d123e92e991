"""Every recorded Chat Completions request of a real client becomes parameters that Claude's own types accept.

The recordings are not part of this repository: CLAUDE_PROXY_CORPUS names their folder, `../shared/corpus` is the
default.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from anthropic.types.message_create_params import MessageCreateParamsStreaming
from pydantic import TypeAdapter

from translators.chat_completions.request import TranslatedRequest, TranslationContext, translate_request
from translators.chat_completions.request_body import parse_request
from translators.errors import OpenAIError
from translators.model_catalog import ModelCatalog

CORPUS = Path(os.environ.get("CLAUDE_PROXY_CORPUS", Path(__file__).parents[4] / "shared" / "corpus"))
NEEDS_CORPUS = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no recordings in {CORPUS} (CLAUDE_PROXY_CORPUS)")
MODELS = ["claude-opus-5-5", "claude-sonnet-5-5", "claude-opus-4-8", "claude-haiku-4-5"]

type Body = dict[str, Any]


def parts_of(body: Body) -> list[Body]:
    return [
        part for message in body["messages"] if isinstance(message.get("content"), list) for part in message["content"]
    ]


def shows_no_image(body: Body) -> bool:
    """Whether a data URL holds no image that Claude sees: one client recorded an error page as its picture."""
    known = ("iVBOR", "/9j/", "R0lGOD", "UklGR")
    urls = [part["image_url"]["url"] for part in parts_of(body) if part["type"] == "image_url"]
    return any(url.startswith("data:") and not url.partition(",")[2].startswith(known) for url in urls)


REFUSALS: dict[str, tuple[Callable[[Body], bool], str]] = {
    "no messages": (lambda body: not body["messages"], "messages"),
    "a cap of 0": (lambda body: body.get("max_tokens") == 0, "content"),
    "log probabilities": (lambda body: bool(body.get("logprobs")), "logprobs"),
    "spoken answers": (lambda body: "audio" in body.get("modalities", []), "audio"),
    "spoken input": (lambda body: any(part["type"] == "input_audio" for part in parts_of(body)), "content"),
    "moderation that blocks": (lambda body: "block" in json.dumps(body.get("moderation")), "moderation"),
    "an image that is none": (shows_no_image, "image_url"),
}
"""Why a recorded request is refused, how such a request is known, and a part of the error's param."""


def recorded_requests() -> list[tuple[str, Body]]:
    recorded = []
    for folder in ("openai.chat", "azure_openai.chat"):
        for path in sorted((CORPUS / folder).glob("*.jsonl")):
            with path.open(encoding="utf-8") as lines:
                records = [json.loads(line) for line in lines]
            recorded += [
                (record["id"], record["request"]["body"]) for record in records if record["request"] is not None
            ]
    return recorded


def reasons_of(body: Body) -> list[str]:
    return [reason for reason, (applies, _) in REFUSALS.items() if applies(body)]


def translate(body: Body, model: str) -> TranslatedRequest:
    return translate_request(parse_request(msgspec.json.encode(body)), TranslationContext(ModelCatalog(model)))


def without_newer_fields(params: Body) -> Body:
    """Take out what the recorded schema does not know yet: files by their id, thinking between tools."""

    def is_newer(block: Body) -> bool:
        return block.get("source", {}).get("type") == "file"

    messages = [
        {**message, "content": [block for block in message["content"] if not is_newer(block)]}
        for message in params["messages"]
    ]
    newer = {"thinking"} if params.get("thinking") == {"type": "between_tools"} else set()
    return {**{name: value for name, value in params.items() if name not in newer}, "messages": messages}


@pytest.fixture(scope="module")
def requests() -> list[tuple[str, Body]]:
    recorded = recorded_requests()
    assert len(recorded) > 800
    return recorded


@NEEDS_CORPUS
@pytest.mark.parametrize("model", MODELS)
def test_recorded_requests_become_parameters_that_claude_accepts(requests, model):
    specification = json.loads((CORPUS / "specs" / "anthropic.json").read_text(encoding="utf-8"))
    reference = {"$ref": "#/components/schemas/CreateMessageParams", "components": specification["components"]}
    schema = jsonschema.Draft202012Validator(reference)
    types = TypeAdapter(MessageCreateParamsStreaming)
    faults = []
    for name, body in requests:
        if reasons_of(body):
            continue
        translated = translate(body, model)
        params = json.loads(msgspec.json.encode(translated.params))
        types.validate_python(params)
        faults += [f"{name}: {error.message[:200]}" for error in schema.iter_errors(without_newer_fields(params))]
    assert faults == []


@NEEDS_CORPUS
@pytest.mark.parametrize("reason", REFUSALS)
def test_recorded_requests_are_refused_for_these_reasons_only(requests, reason):
    refused = [body for _, body in requests if reason in reasons_of(body)]
    assert refused
    for body in refused:
        with pytest.raises(OpenAIError) as caught:
            translate(body, MODELS[0])
        assert caught.value.status == 400
        assert REFUSALS[reason][1] in (caught.value.param or "")
