import json

import msgspec
import pytest

from tests.translators.responses.translated import refusal, translate
from translators.errors import OpenAIError
from translators.responses.mcp_servers import MCP_BETA

URL = "https://mcp.example.com/mcp"
LOOK = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}


def server(**fields):
    return {"type": "mcp", "server_label": "docs", "server_url": URL, "require_approval": "never", **fields}


def sent(*tools, **fields):
    return translate(input="Hi", tools=list(tools), **fields)


def test_a_server_is_declared_with_its_toolset_and_the_beta_header():
    translated = sent(server())
    assert translated.params["mcp_servers"] == [{"type": "url", "name": "docs", "url": URL}]
    assert translated.params["tools"] == [{"type": "mcp_toolset", "mcp_server_name": "docs"}]
    assert translated.headers["anthropic-beta"] == MCP_BETA
    assert refusal(translated) is None


def test_without_a_server_there_is_no_beta_header():
    assert "anthropic-beta" not in sent({"type": "web_search"}).headers


@pytest.mark.parametrize("allowed", [["ask", "read"], {"tool_names": ["ask", "read"]}])
def test_allowed_tools_alone_are_enabled(allowed):
    (toolset,) = sent(server(allowed_tools=allowed)).params["tools"]
    assert toolset["default_config"] == {"enabled": False}
    assert toolset["configs"] == {"ask": {"enabled": True}, "read": {"enabled": True}}


@pytest.mark.parametrize(
    "fields", [{"authorization": "tok-1"}, {"headers": {"Authorization": "Bearer tok-1"}}], ids=["field", "header"]
)
def test_the_token_goes_to_claude_and_into_no_echo(fields):
    translated = sent(server(**fields))
    assert translated.params["mcp_servers"][0]["authorization_token"] == "tok-1"
    echoed = msgspec.json.encode(dict(translated.plan.echo))
    assert b"tok-1" not in echoed
    assert json.loads(echoed)["tools"][0]["server_label"] == "docs"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"{URL}?key=secret", f"{URL}?<redacted>"),
        ("https://ann:secret@mcp.example.com/mcp", "<redacted>"),
        (URL, URL),
    ],
)
def test_secrets_in_the_address_are_not_echoed(url, shown):
    assert sent(server(server_url=url)).plan.echo["tools"][0]["server_url"] == shown


def test_tools_whose_approval_is_never_asked_for_may_be_named_one_by_one():
    approval = {"never": {"tool_names": ["ask", "read"]}}
    assert sent(server(require_approval=approval, allowed_tools=["ask"])).params["tools"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"require_approval": None}, "require_approval"),
        ({"require_approval": "always"}, "require_approval"),
        ({"require_approval": {"always": {"tool_names": ["ask"]}}}, "require_approval"),
        ({"require_approval": {"never": {"tool_names": ["ask"]}}}, "require_approval"),
        ({"require_approval": {"never": {"tool_names": ["ask"]}}, "allowed_tools": ["read"]}, "require_approval"),
        ({"headers": {"X-Custom": "a"}}, "headers"),
        ({"headers": {"Authorization": "Basic a"}}, "headers"),
        ({"headers": {"Authorization": "Bearer a", "X-Custom": "a"}}, "headers"),
        ({"allowed_tools": {"read_only": True}}, "allowed_tools.read_only"),
        ({"server_url": None, "connector_id": "connector_gmail"}, "connector_id"),
        ({"server_url": None, "tunnel_id": "tunnel_1"}, "tunnel_id"),
        ({"server_url": None}, "server_url"),
        ({"server_url": "http://mcp.example.com"}, "server_url"),
    ],
    ids=str,
)
def test_what_claude_cannot_do_is_refused_by_its_name(fields, param):
    with pytest.raises(OpenAIError) as caught:
        sent(server(**fields))
    assert caught.value.status == 400
    assert caught.value.param == f"tools[0].{param}"


def test_two_servers_of_one_label_are_refused():
    with pytest.raises(OpenAIError) as caught:
        sent(server(), server())
    assert caught.value.param == "tools[1].server_label"


def test_a_required_call_is_of_some_tool():
    translated = sent(server(), tool_choice={"type": "mcp", "server_label": "docs"}, model="claude-opus-4-8")
    assert translated.params["tool_choice"] == {"type": "any"}
    assert refusal(translated) is None


ALL_OF_DOCS = {"type": "mcp", "server_label": "docs"}


@pytest.mark.parametrize(
    ("mode", "allowed", "tool_choice", "said"),
    [
        pytest.param("auto", [LOOK, ALL_OF_DOCS], None, "", id="all-that-there-is"),
        pytest.param("auto", [LOOK], None, "these: `look`.", id="not-the-server"),
        pytest.param("auto", [ALL_OF_DOCS], None, "these: all of the server `docs`.", id="the-server-alone"),
        pytest.param("required", [ALL_OF_DOCS], {"type": "any"}, "these: all of the server `docs`.", id="required"),
        pytest.param("required", [LOOK], {"type": "tool", "name": "look"}, "", id="one-function-is-required"),
    ],
)
def test_a_server_may_be_among_the_allowed_tools(mode, allowed, tool_choice, said):
    # The example of `openai.types.responses.ToolChoiceAllowedParam`.
    choice = {"type": "allowed_tools", "mode": mode, "tools": allowed}
    translated = translate(model="claude-opus-4-8", tools=[LOOK, server()], tool_choice=choice)
    assert translated.params.get("tool_choice") == tool_choice
    last = translated.params["messages"][-1]
    assert said in last["content"][-1]["text"]
    assert (last["role"] == "system") == bool(said)
    assert refusal(translated) is None


def test_a_server_that_is_not_there_is_refused_as_an_allowed_tool():
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "mcp", "server_label": "other"}]}
    with pytest.raises(OpenAIError, match="'other' not found"):
        translate(tools=[LOOK, server()], tool_choice=choice)
