"""Every recorded Responses request of a client becomes parameters that Claude accepts, or is refused for a reason."""

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import msgspec
import pytest
from anthropic.types.beta.message_create_params import MessageCreateParamsStreaming as BetaParams
from anthropic.types.message_create_params import MessageCreateParamsStreaming
from pydantic import TypeAdapter

from tests.translators.recordings import CORPUS
from tests.translators.responses.translated import refusal, translate
from translators.errors import OpenAIError
from translators.model_catalog import ModelCatalog
from translators.responses.code_interpreter import Container
from translators.responses.request import TranslatedResponsesRequest

NEEDS_CORPUS = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no recordings in {CORPUS} (CLAUDE_PROXY_CORPUS)")
MODELS = ["claude-opus-5-5", "claude-sonnet-5-5", "claude-opus-4-8", "claude-haiku-4-5"]
HOSTED = {"file_search", "image_generation"}

type Body = dict[str, Any]


def has_a_file_of_no_known_kind(body: Body) -> bool:
    """A file that OpenAI refused too: it is no PDF, text or image."""
    items = body["input"] if isinstance(body["input"], list) else []
    lists = [item.get(name) for item in items for name in ("content", "output")]
    parts = [part for members in lists if isinstance(members, list) for part in members]
    known = ("JVBER", "iVBOR", "/9j/", "R0lGOD", "UklGR")
    data = [part["file_data"] for part in parts if part["type"] == "input_file" and "file_data" in part]
    return any("text/" not in text and not text.partition(",")[2].startswith(known) for text in data)


def needs_more_than_an_address(tool: Body) -> bool:
    """A server that is OpenAI's connector, wants headers, or whose tools somebody has to approve."""
    return tool["type"] == "mcp" and (
        "connector_id" in tool or "headers" in tool or tool.get("require_approval") != "never"
    )


REFUSALS: dict[str, tuple[Callable[[Body], bool], str]] = {
    "a tool that OpenAI runs": (lambda body: any(tool["type"] in HOSTED for tool in body.get("tools", [])), "tools["),
    "a server that needs more than its address": (
        lambda body: any(map(needs_more_than_an_address, body.get("tools", []))),
        "tools[",
    ),
    "log probabilities": (lambda body: "message.output_text.logprobs" in body.get("include", []), "include"),
    "a temperature below 0": (lambda body: body.get("temperature", 0) < 0, "temperature"),
    "moderation that blocks": (lambda body: "block" in json.dumps(body.get("moderation")), "moderation"),
    "a file of no known kind": (has_a_file_of_no_known_kind, "file_data"),
}
"""Why a recorded request is refused, how such a request is known, and a part of the error's param."""


def recorded_requests() -> list[tuple[str, Body]]:
    recorded = []
    for folder in ("openai.responses", "azure_openai.responses"):
        for path in sorted((CORPUS / folder).glob("*.jsonl")):
            for line in path.read_text("utf-8").splitlines():
                record = json.loads(line)
                request = record["request"]
                if request and request["path"].endswith("/responses") and isinstance(request["body"], dict):
                    recorded.append((record["id"], request["body"]))
    return recorded


def reasons_of(body: Body) -> list[str]:
    return [reason for reason, (applies, _) in REFUSALS.items() if applies(body)]


def run(body: Body, model: str = MODELS[0]) -> TranslatedResponsesRequest:
    stored = {"type": "message", "role": "user", "content": "What was stored."}
    named = [tool["container"] for tool in body.get("tools", []) if isinstance(tool.get("container"), str)]
    context = {
        "catalog": ModelCatalog(model),
        "resolve_item": lambda _: stored,
        "containers": dict.fromkeys(named, Container("container_01")),
    }
    return translate(context=context, **{"model": "gpt-5.5", **body})


def without_newer_fields(params: Body) -> Body:
    """Take out what the recorded schema does not know yet: files by their id, thinking between tools."""

    def older(blocks: list[Body]) -> list[Body]:
        kept = [block for block in blocks if block.get("source", {}).get("type") != "file"]
        return [{**block, "content": older(block["content"])} if "content" in block else block for block in kept]

    messages = [{**message, "content": older(message["content"])} for message in params["messages"]]
    newer = {"thinking"} if params.get("thinking") == {"type": "between_tools"} else set()
    return {**{name: value for name, value in params.items() if name not in newer}, "messages": messages}


@pytest.fixture(scope="module")
def requests() -> list[tuple[str, Body]]:
    recorded = recorded_requests()
    assert len(recorded) > 650
    return recorded


@NEEDS_CORPUS
@pytest.mark.parametrize("model", MODELS)
def test_recorded_requests_become_parameters_that_claude_accepts(requests, model):
    specification = json.loads((CORPUS / "specs" / "anthropic.json").read_text(encoding="utf-8"))
    judges = {}
    for name, types in (("CreateMessageParams", MessageCreateParamsStreaming), ("BetaCreateMessageParams", BetaParams)):
        reference = {"$ref": f"#/components/schemas/{name}", "components": specification["components"]}
        judges[name] = jsonschema.Draft202012Validator(reference), TypeAdapter(types)
    faults = []
    for name, body in requests:
        if reasons_of(body):
            continue
        translated = run(body, model)
        params = json.loads(msgspec.json.encode(translated.params))
        schema, types = judges["BetaCreateMessageParams" if "mcp_servers" in params else "CreateMessageParams"]
        types.validate_python(params)
        faults += [f"{name}: {error.message[:200]}" for error in schema.iter_errors(without_newer_fields(params))]
        judged = refusal(translated)
        faults += [f"{name}: {judged}"] if judged is not None else []
    assert faults == []


@NEEDS_CORPUS
@pytest.mark.parametrize("reason", REFUSALS)
def test_recorded_requests_are_refused_for_these_reasons_only(requests, reason):
    refused = [body for _, body in requests if reason in reasons_of(body)]
    assert refused
    for body in refused:
        with pytest.raises(OpenAIError) as caught:
            run(body)
        assert caught.value.status == 400
        assert REFUSALS[reason][1] in (caught.value.param or "")


@NEEDS_CORPUS
def test_what_codex_adds_to_its_items_never_reaches_claude(requests):
    captured = [body for name, body in requests if "codex" in name]
    assert captured
    for body in captured:
        translated = run(body)
        sent = msgspec.json.encode(translated.params).decode()
        stored = msgspec.json.encode(translated.input_items).decode()
        ids = [item["id"] for item in body["input"] if "id" in item]
        assert not any(item_id in sent for item_id in ids)
        assert "internal_chat_message_metadata_passthrough" not in sent + stored
        assert "installation_id" not in sent


@NEEDS_CORPUS
def test_every_tool_of_codex_is_declared(requests):
    bodies = [body for name, body in requests if "codex" in name]
    for body in bodies:
        plan = run(body).plan
        listed = [*body.get("tools", []), *(tool for item in body["input"] for tool in item.get("tools", []))]
        names = {tool["name"] for tool in listed if tool["type"] in {"function", "custom"}}
        assert names <= {identity.name for identity in plan.tools.values()}
