"""What an answer shows its client comes back, and becomes the very blocks that Claude sent: C4, R1, R5, R7."""

import copy
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.translators.claude_messages import cut_message
from tests.translators.responses.conftest import read_answer
from tests.translators.responses.translated import Body, refusal, says, translate
from translators.errors import OpenAIError
from translators.model_catalog import CAPABILITIES, ModelCatalog
from translators.responses.code_interpreter import Container
from translators.responses.request import TranslatedResponsesRequest

OPEN = {"type": "object", "properties": {"b": {"type": "integer"}, "a": {"type": "string"}}}
TOOLS: list[Body] = [
    {"type": "function", "name": "fs.read", "parameters": OPEN, "strict": False},
    {"type": "function", "name": "plain", "parameters": {"anyOf": [{"type": "string"}, OPEN]}},
    {"type": "custom", "name": "patch", "format": {"type": "grammar", "syntax": "lark", "definition": "start: A"}},
    {"type": "namespace", "name": "mcp", "description": "Docs", "tools": [{"type": "function", "name": "find"}]},
    {"type": "tool_search", "execution": "client", "parameters": OPEN},
    {"type": "shell"},
    {"type": "local_shell"},
    {"type": "apply_patch"},
    {"type": "code_interpreter", "container": {"type": "auto"}},
    {"type": "mcp", "server_label": "docs", "server_url": "https://docs.example.com", "require_approval": "never"},
    {"type": "web_search"},
]
INPUTS: list[tuple[str, Body]] = [
    ("fs_read_", {"b": 1, "a": "x\n"}),
    ("plain", {"input": {"a": "y"}}),
    ("plain", {"input": "text"}),
    ("patch", {"input": '*** Begin "Patch"\n'}),
    ("mcp__find", {}),
    ("tool_search", {"a": "docs"}),
    ("shell", {"commands": ["ls", "pwd"], "timeout_ms": 1000}),
    ("local_shell", {"command": ["ls", "-l"], "working_directory": "/tmp"}),
    ("apply_patch", {"type": "update_file", "path": "a.txt", "diff": "@@\n-a\n+b\n"}),
    ("apply_patch", {"type": "delete_file", "path": "a.txt"}),
]
OUTPUT_TYPES = {
    "function_call": "function_call_output",
    "custom_tool_call": "custom_tool_call_output",
    "tool_search_call": "tool_search_output",
    "shell_call": "shell_call_output",
    "local_shell_call": "local_shell_call_output",
    "apply_patch_call": "apply_patch_call_output",
}


def output_of(call: Body) -> Body:
    """The client's answer to a call."""
    item: Body = {"type": OUTPUT_TYPES[call["type"]], "call_id": call["call_id"]}
    match call["type"]:
        case "tool_search_call":
            item |= {"tools": [], "execution": "client"}
        case "shell_call":
            item |= {"output": [{"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]}
        case "apply_patch_call":
            item |= {"status": "completed", "output": "Done"}
        case "local_shell_call":
            item |= {"id": call["id"], "output": "a"}
            del item["call_id"]
        case _:
            item |= {"output": "done"}
    return item


class Claude:
    """Writes answers whose signatures and ids are each its own."""

    def __init__(self, tools: list[Body]) -> None:
        named = [tool["name"] for tool in tools if "name" in tool]
        self.names = {name.rpartition("_")[0] + "_": name for name in named}
        self.number = 0

    def next(self) -> int:
        self.number += 1
        return self.number

    def write(self, kinds: list[Any]) -> list[Body]:
        blocks: list[Body] = []
        for kind in kinds:
            number = self.next()
            match kind:
                case "thinking":
                    blocks.append({"type": "thinking", "thinking": f"Hm {number}.", "signature": f"sig{number}"})
                case "omitted":
                    blocks.append({"type": "thinking", "thinking": "", "signature": f"sig{number}"})
                case "redacted":
                    blocks.append({"type": "redacted_thinking", "data": f"data{number}"})
                case "search":
                    blocks += search(number)
                case "code":
                    blocks += run_code(number)
                case "mcp":
                    blocks += call_server(number)
                case "text":
                    blocks.append({"type": "text", "text": f"I say {number}."})
                case (name, given):
                    real = self.names.get(name, name)
                    blocks.append({"type": "tool_use", "id": f"toolu_{number}", "name": real, "input": given})
        return blocks


def search(number: int) -> list[Body]:
    call_id = f"srvtoolu_{number}"
    page = {
        "type": "web_search_result",
        "url": "https://example.com",
        "title": "A",
        "encrypted_content": "abc",
        "page_age": None,
    }
    return [
        {"type": "server_tool_use", "id": call_id, "name": "web_search", "input": {"query": "q"}},
        {"type": "web_search_tool_result", "tool_use_id": call_id, "content": [page]},
    ]


def run_code(number: int) -> list[Body]:
    call_id = f"srvtoolu_{number}"
    ran = {"type": "bash_code_execution_result", "stdout": "4", "stderr": "", "return_code": 0, "content": []}
    return [
        {"type": "server_tool_use", "id": call_id, "name": "bash_code_execution", "input": {"command": "echo 4"}},
        {"type": "bash_code_execution_tool_result", "tool_use_id": call_id, "content": ran},
    ]


def call_server(number: int) -> list[Body]:
    call_id = f"mcptoolu_{number}"
    said = [{"type": "text", "text": "Because."}]
    return [
        {"type": "mcp_tool_use", "id": call_id, "name": "ask", "server_name": "docs", "input": {"question": "Why?"}},
        {"type": "mcp_tool_result", "tool_use_id": call_id, "is_error": False, "content": said},
    ]


_kind = st.one_of(
    st.sampled_from(["thinking", "omitted", "redacted", "search", "code", "mcp"]),
    st.just("text"),
    st.sampled_from(INPUTS),
)


@st.composite
def _answer(draw: st.DrawFn) -> list[Any]:
    """An answer that is whole: something to show at its end, and no two texts side by side, which become one."""
    kinds = draw(st.lists(_kind, max_size=5))
    calls = [kind for kind in kinds if isinstance(kind, tuple)]
    kinds = [kind for kind in kinds if not isinstance(kind, tuple)] + calls
    kinds = [kind for index, kind in enumerate(kinds) if kind != "text" or index == 0 or kinds[index - 1] != "text"]
    return kinds if calls else [*(kinds[:-1] if kinds and kinds[-1] == "text" else kinds), "text"]


_asked = st.lists(
    st.one_of(
        st.sampled_from(["One", "grüße", ""]).map(lambda text: says("user", text)),
        st.just({"role": "user", "content": [{"type": "input_text", "text": "Two"}], "id": "msg_x", "type": "message"}),
        st.just(says("developer", "Be brief")),
    ),
    min_size=1,
    max_size=2,
)


def blocks(request: TranslatedResponsesRequest) -> list[tuple[str, bytes]]:
    """Each block's bytes with its role: messages of one side are one turn to Claude, however they are cut."""
    return [
        (message["role"], msgspec.json.encode(block))
        for message in request.params["messages"]
        for block in message["content"]
    ]


@given(
    st.lists(st.tuples(_asked, _answer()), min_size=1, max_size=4),
    st.sampled_from(sorted(CAPABILITIES)),
    st.sampled_from([{}, {"instructions": "Be kind"}, {"text": {"format": {"type": "json_object"}}}]),
    st.booleans(),
)
@settings(max_examples=120, deadline=None)
def test_C4_R1_R5_every_turn_extends_the_turn_before_by_what_claude_sent(rounds, model, fields, shown):
    reasoning = {"reasoning": {"effort": "medium", "summary": "auto"}} if shown else {}
    context = {"catalog": ModelCatalog(model)}
    searches = CAPABILITIES[model].web_search
    tools = TOOLS if searches else TOOLS[:-1]
    history: list[Body] = []
    before: TranslatedResponsesRequest | None = None
    claude: Claude | None = None
    sent: list[tuple[str, bytes]] = []
    for asked, kinds in rounds:
        history = [*history, *asked, says("user", "Go on")]
        now = translate(model=model, input=history, tools=tools, context=context, **fields, **reasoning)
        assert refusal(now) is None
        assert now.plan.input_transformations == ()
        if before is not None:
            for name in ("model", "tools", "system", "tool_choice", "output_config"):
                assert msgspec.json.encode(now.params.get(name)) == msgspec.json.encode(before.params.get(name))
            assert blocks(now)[: len(sent)] == sent
        claude = claude or Claude(now.params["tools"])
        answer = claude.write([kind for kind in kinds if kind != "search" or searches])
        stop = "tool_use" if any(block["type"] == "tool_use" for block in answer) else "end_turn"
        shown_to_client = read_answer([cut_message(answer, stop)], now.plan).output
        sent = [*blocks(now), *(("assistant", msgspec.json.encode(block)) for block in answer)]
        outputs = [output_of(item) for item in shown_to_client if item["type"] in OUTPUT_TYPES]
        history = [*history, *shown_to_client, *outputs]
        before = now


def ask(*items: Body, **fields: Any) -> TranslatedResponsesRequest:
    return translate(input=[says("user", "Hello"), *items], tools=TOOLS, **fields)


def answer_with(*kinds: Any) -> list[Body]:
    """The items of an answer to a first request."""
    first = ask()
    written = Claude(first.params["tools"]).write(list(kinds))
    return read_answer([cut_message(written)], first.plan).output


def thinking_of(translated: TranslatedResponsesRequest) -> list[str]:
    return [
        block.get("signature") or block.get("data")
        for message in translated.params["messages"]
        for block in message["content"]
        if block["type"] in {"thinking", "redacted_thinking"}
    ]


def reasons(translated: TranslatedResponsesRequest) -> list[str]:
    return [transformation.reason for transformation in translated.plan.input_transformations]


def test_R7_thinking_without_a_text_returns_with_its_signature():
    items = answer_with("omitted", "text")
    assert thinking_of(ask(*items, says("user", "More"))) == ["sig1"]


def test_R4_redacted_thinking_returns():
    items = answer_with("redacted", "thinking", "text")
    again = ask(*items, says("user", "More"))
    assert thinking_of(again) == ["data1", "sig2"]
    assert again.replays_thinking


def test_R8_reasoning_that_openai_sealed_is_left_out_and_named():
    foreign = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAABo"}
    again = ask(foreign, says("assistant", "Hi"), says("user", "More"))
    assert thinking_of(again) == []
    assert [(it.id, it.reason) for it in again.plan.input_transformations] == [("rs_1", "organization_mismatch")]
    assert not again.replays_thinking


def test_R8_reasoning_of_another_key_is_left_out():
    items = answer_with("thinking", "text")
    again = ask(*items, says("user", "More"), context={"envelope_key": b"another"})
    assert (thinking_of(again), reasons(again)) == ([], ["organization_mismatch"])


def test_R8_reasoning_of_another_model_is_left_out():
    items = answer_with("thinking", "text")
    again = ask(*items, says("user", "More"), model="claude-opus-4-8")
    assert (thinking_of(again), reasons(again)) == ([], ["model_mismatch"])


def test_R8_reasoning_without_encrypted_content_is_left_out():
    again = ask({"type": "reasoning", "id": "rs_1", "summary": []}, says("assistant", "Hi"), says("user", "More"))
    assert (thinking_of(again), reasons(again)) == ([], ["organization_mismatch"])


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"instructions": "Something new"}, id="system"),
        pytest.param({"tools": TOOLS[1:]}, id="tools"),
        pytest.param({"text": {"format": {"type": "json_object"}}}, id="format in words"),
    ],
)
def test_thinking_after_something_that_changed_is_left_out_and_named(changed):
    items = answer_with("thinking", "text")
    again = translate(**{"input": [says("user", "Hello"), *items, says("user", "More")], "tools": TOOLS, **changed})
    assert (thinking_of(again), reasons(again)) == ([], ["prefix_mismatch"])
    assert refusal(again) is None


def test_thinking_after_an_edited_message_is_left_out_and_what_came_before_stays():
    first = answer_with("thinking", "text")
    asked = ask(*first, says("user", "More"))
    claude = Claude(asked.params["tools"])
    claude.number = 10
    second = read_answer([cut_message(claude.write(["thinking", "text"]))], asked.plan).output
    kept = ask(*first, says("user", "More"), *second, says("user", "Go"))
    edited = ask(*first, says("user", "MORE"), *second, says("user", "Go"))
    assert thinking_of(kept) == ["sig1", "sig11"]
    assert (thinking_of(edited), reasons(edited)) == (["sig1"], ["prefix_mismatch"])


def test_a_moved_cache_mark_changes_nothing():
    marked = {"type": "input_text", "text": "Hello", "prompt_cache_breakpoint": {"mode": "explicit"}}
    items = answer_with("thinking", "text")
    again = translate(input=[{"role": "user", "content": [marked]}, *items, says("user", "More")], tools=TOOLS)
    assert thinking_of(again) == ["sig1"]


def test_thinking_after_an_instruction_that_is_gone_does_not_return():
    forced = translate(
        input=[says("user", "Hello")],
        tools=TOOLS,
        tool_choice={"type": "allowed_tools", "mode": "auto", "tools": [{"type": "custom", "name": "patch"}]},
    )
    items = read_answer([cut_message(Claude(forced.params["tools"]).write(["thinking", "text"]))], forced.plan).output
    again = ask(*items, says("user", "More"))
    assert (thinking_of(again), reasons(again)) == ([], [])


def test_thinking_that_nothing_follows_is_left_out():
    items = answer_with("thinking")
    again = ask(*[item for item in items if item["type"] == "reasoning"], says("user", "More"))
    assert (thinking_of(again), reasons(again)) == ([], ["turn_boundary"])
    assert refusal(again) is None


def test_after_a_refusal_the_request_is_the_same_without_thinking():
    items = answer_with("thinking", "text")
    again = ask(*items, says("user", "More"))
    retried = again.without_thinking()
    assert not retried.replays_thinking
    assert thinking_of(retried) == []
    assert [(it.id, it.reason) for it in retried.plan.input_transformations] == [(items[0]["id"], "prefix_mismatch")]
    assert refusal(retried) is None


def test_a_web_search_returns_with_what_it_found():
    items = answer_with("search", "text")
    again = ask(*items, says("user", "More"))
    assert [block["type"] for block in again.params["messages"][1]["content"]] == [
        "server_tool_use",
        "web_search_tool_result",
        "text",
    ]
    assert not any(warning.param == "input.web_search_call" for warning in again.warnings)


def test_a_web_search_without_its_results_is_left_out_and_reported():
    items = [item for item in answer_with("search", "text") if item["type"] != "reasoning"]
    again = ask(*items, says("user", "More"))
    assert [block["type"] for block in again.params["messages"][1]["content"]] == ["text"]
    assert any(warning.param == "input.web_search_call" for warning in again.warnings)


@pytest.mark.parametrize(
    ("kind", "types", "param"),
    [
        ("code", ["server_tool_use", "bash_code_execution_tool_result"], "input.code_interpreter_call"),
        ("mcp", ["mcp_tool_use", "mcp_tool_result"], "input.mcp_call"),
    ],
)
def test_a_call_of_claudes_own_tools_returns_with_what_came_of_it(kind, types, param):
    items = answer_with(kind, "text")
    again = ask(*items, says("user", "More"))
    assert [block["type"] for block in again.params["messages"][1]["content"]] == [*types, "text"]
    assert not any(warning.param == param for warning in again.warnings)
    lost = ask(*(item for item in items if item["type"] != "reasoning"), says("user", "More"))
    assert [block["type"] for block in lost.params["messages"][1]["content"]] == ["text"]
    assert any(warning.param == param for warning in lost.warnings)


def test_calls_of_a_server_that_is_not_declared_any_more_are_left_out():
    items = answer_with("mcp", "text")
    others = [tool for tool in TOOLS if tool["type"] != "mcp"]
    again = translate(input=[says("user", "Hello"), *items, says("user", "More")], tools=others)
    assert [block["type"] for block in again.params["messages"][1]["content"]] == ["text"]
    assert refusal(again) is None


def test_code_goes_on_in_its_container_under_the_id_that_the_client_knows():
    (call, *_) = answer_with("code", "text")
    again = ask(call, says("user", "More"), context={"containers": {call["container_id"]: Container("container_01")}})
    assert again.params["container"] == "container_01"
    assert again.plan.container_id == call["container_id"]
    assert "container" not in ask(call, says("user", "More")).params


def test_a_container_that_is_not_known_is_refused():
    with pytest.raises(OpenAIError) as caught:
        translate(tools=[{"type": "code_interpreter", "container": "cntr_1"}])
    assert caught.value.status == 404
    assert "cntr_1" in caught.value.message


def test_a_search_that_was_cut_before_its_result_is_left_out():
    first = ask()
    call, _ = search(1)
    items = read_answer([cut_message([call, {"type": "text", "text": "So"}], "max_tokens")], first.plan).output
    again = ask(*items, says("user", "More"))
    assert [block["type"] for block in again.params["messages"][1]["content"]] == ["text"]
    assert refusal(again) is None


def test_what_is_stored_gives_the_same_request_as_what_is_sent():
    items = answer_with("thinking", "text", INPUTS[0])
    outputs = [output_of(item) for item in items if item["type"] in OUTPUT_TYPES]
    whole = ask(*items, *outputs)
    first = ask()
    chained = translate(
        input=outputs,
        tools=TOOLS,
        previous_response_id="resp_1",
        context={"history": [*first.input_items, *items]},
    )
    assert chained.params == whole.params


def test_a_compaction_round_trip():
    items = answer_with("thinking", "text")
    compacting = ask(*items, {"type": "compaction_trigger"})
    assert compacting.plan.is_compaction
    assert compacting.params["tool_choice"] == {"type": "none"}
    assert compacting.params["tools"] == ask().params["tools"]
    assert refusal(compacting) is None
    (item,) = read_answer([cut_message([{"type": "text", "text": "They said hello."}])], compacting.plan).output
    assert item["type"] == "compaction"
    again = translate(input=[says("user", "Hello"), item])
    assert "They said hello." in json.dumps(again.params["messages"])
    assert refusal(again) is None


def test_the_same_request_gives_the_same_bytes():
    items = answer_with("thinking", "text", *INPUTS)
    body = {"input": [says("user", "Hello"), *items], "tools": TOOLS}
    assert translate(**body) == translate(**copy.deepcopy(body))
