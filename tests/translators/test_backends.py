"""The other backends of Claude: how their models are named, and what a request to them looks like."""

from __future__ import annotations

import pytest

from translators.backends import Target, fit_request, parse_target
from translators.errors import OpenAIError
from translators.model_catalog import CAPABILITIES, NEWEST, ModelCatalog

TEXT = {"type": "text", "text": "Hello"}


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("claude-opus-4-8", Target("anthropic", "claude-opus-4-8", "claude-opus-4-8")),
        ("unknown:claude-x", Target("anthropic", "unknown:claude-x", "unknown:claude-x")),
        ("bedrock:anthropic.claude-opus-4-8", Target("bedrock", "anthropic.claude-opus-4-8", "claude-opus-4-8")),
        (
            "bedrock:us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            Target("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5-20250929"),
        ),
        (
            "bedrock:global.anthropic.claude-opus-4-6-v1",
            Target("bedrock", "global.anthropic.claude-opus-4-6-v1", "claude-opus-4-6"),
        ),
        (
            "bedrock:arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-opus-4-8",
            Target(
                "bedrock",
                "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-opus-4-8",
                "claude-opus-4-8",
            ),
        ),
        (
            "vertex:claude-sonnet-4-5@20250929",
            Target("vertex", "claude-sonnet-4-5@20250929", "claude-sonnet-4-5-20250929"),
        ),
        ("vertex:claude-opus-4-8@default", Target("vertex", "claude-opus-4-8@default", "claude-opus-4-8")),
        ("foundry:my-deployment", Target("foundry", "my-deployment", "my-deployment")),
    ],
)
def test_a_model_names_its_backend(name, target):
    assert parse_target(name) == target


def resolve(target):
    return ModelCatalog(target).resolve("gpt-4o")


def test_a_model_of_a_backend_has_the_capabilities_of_claudes_own_but_for_what_is_lacking_there():
    own = CAPABILITIES["claude-opus-4-8"]
    assert resolve("aws:claude-opus-4-8").capabilities == own
    assert not resolve("bedrock:anthropic.claude-opus-4-8").capabilities.web_search
    assert resolve("vertex:claude-opus-4-8@20260401").capabilities.web_search
    assert resolve("foundry:claude-opus-4-8").capabilities.mid_conversation_system == "refused"
    assert resolve("foundry:my-deployment").capabilities.efforts == NEWEST.efforts


def test_T20_haiku_5_5_has_no_structured_outputs_on_bedrock():
    assert not resolve("bedrock:anthropic.claude-haiku-5-5").capabilities.structured_outputs
    assert resolve("vertex:claude-haiku-5-5").capabilities.structured_outputs


def test_claude_ids_are_names_like_others_where_there_is_no_claude_api():
    catalog = ModelCatalog(
        "vertex:claude-x", {"claude-opus-4-8": "bedrock:anthropic.claude-opus-4-8"}, first_party=False
    )
    assert catalog.resolve("claude-opus-4-8").id == "bedrock:anthropic.claude-opus-4-8"
    assert catalog.resolve("claude-sonnet-5-5").id == "vertex:claude-x"


def test_one_model_may_answer_for_every_name():
    catalog = ModelCatalog("claude-sonnet-5-5").always("claude-haiku-5-5")
    for name in ("gpt-4o", "claude-opus-4-8", "claude-3-opus"):
        assert catalog.resolve(name).id == "claude-haiku-5-5"


def fit(params, model, headers=(), *, before_4_7=False):
    messages = [{"role": "user", "content": [TEXT]}]
    return fit_request({"messages": messages, **params}, dict(headers), model, before_4_7=before_4_7, param="messages")


def test_claudes_own_api_gets_what_it_got():
    params = {"cache_control": {"type": "ephemeral"}, "service_tier": "standard_only"}
    fitted, headers = fit(params, "claude-opus-4-8", {"anthropic-version": "2023-06-01"})
    assert params.items() <= fitted.items()
    assert headers == {"anthropic-version": "2023-06-01"}


@pytest.mark.parametrize("model", ["bedrock:anthropic.claude-x", "vertex:claude-x"])
def test_C5_the_automatic_mark_becomes_one_on_the_last_block(model):
    thinking = {"type": "thinking", "thinking": "", "signature": "s"}
    messages = [
        {"role": "user", "content": [TEXT]},
        {"role": "assistant", "content": [TEXT, {**TEXT, "text": "last"}, thinking]},
    ]
    mark = {"type": "ephemeral", "ttl": "1h"}
    fitted, _ = fit({"messages": messages, "cache_control": mark, "service_tier": "standard_only"}, model)
    assert "cache_control" not in fitted
    assert "service_tier" not in fitted
    assert fitted["messages"][1]["content"] == [TEXT, {**TEXT, "text": "last", "cache_control": mark}, thinking]
    assert "cache_control" not in messages[1]["content"][1], "the input is not changed"


@pytest.mark.parametrize(
    ("model", "headers", "before_4_7", "version"),
    [
        ("bedrock:anthropic.claude-x", {}, False, None),
        ("bedrock:anthropic.claude-x", {}, True, "bedrock-2023-05-31"),
        ("bedrock:anthropic.claude-x", {"anthropic-version": "2023-06-01"}, True, "bedrock-2023-05-31"),
        ("vertex:claude-x", {}, True, None),
        ("vertex:claude-x", {"anthropic-version": "2023-06-01"}, True, "vertex-2023-10-16"),
    ],
)
def test_the_older_version_goes_into_the_body(model, headers, before_4_7, version):
    fitted, sent = fit({}, model, headers, before_4_7=before_4_7)
    assert fitted.get("anthropic_version") == version
    assert sent == {}


@pytest.mark.parametrize("nested", [False, True], ids=["in-a-message", "in-a-tools-result"])
@pytest.mark.parametrize(
    ("source", "words"),
    [({"type": "url", "url": "https://x/a.png"}, "URLs"), ({"type": "file", "file_id": "file_1"}, "Files API")],
)
def test_I3_sources_that_are_not_there_are_refused(source, words, nested):
    block = {"type": "image", "source": source}
    if nested:
        block = {"type": "tool_result", "tool_use_id": "t", "content": [TEXT, block]}
    params = {"messages": [{"role": "user", "content": [block]}]}
    with pytest.raises(OpenAIError, match=words) as refused:
        fit(params, "bedrock:anthropic.claude-x")
    assert (refused.value.status, refused.value.code) == (400, "unsupported_value")
    assert fit(params, "foundry:claude-x")[0] == params


@pytest.mark.parametrize(
    "model", ["bedrock:anthropic.claude-x", "bedrock-mantle:anthropic.claude-x", "vertex:claude-x"]
)
@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"mcp_servers": [{"type": "url", "name": "x", "url": "https://x"}]}, "calls no MCP servers"),
        ({"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]}, "runs no code"),
    ],
)
def test_P22_tools_that_are_not_there_are_refused_with_their_beta(model, params, words):
    with pytest.raises(OpenAIError, match=words) as refused:
        fit(params, model, {"anthropic-beta": "some-beta"})
    assert refused.value.param == "tools"
    assert fit(params, "aws:claude-x", {"anthropic-beta": "some-beta"})[1] == {"anthropic-beta": "some-beta"}


def test_files_of_the_proxys_own_are_replaced_later_and_pass():
    block = {"type": "document", "source": {"type": "file", "file_id": "file-abc"}}
    params = {"messages": [{"role": "user", "content": [block]}]}
    assert fit(params, "bedrock:anthropic.claude-x")[0] == params
