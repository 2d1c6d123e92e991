from tests.translators.responses.blocks import TEXT

LISTING = {
    "type": "mcp_tool_listing",
    "mcp_server_name": "docs",
    "tools": [{"name": "ask", "description": "Asks.", "input_schema": {"type": "object"}}],
}


def call(number=1, **asked):
    return {
        "type": "mcp_tool_use",
        "id": f"mcptoolu_{number}",
        "name": "ask",
        "server_name": "docs",
        "input": asked or {"question": "Why?"},
    }


def answered(number=1, *texts, is_error=False):
    return {
        "type": "mcp_tool_result",
        "tool_use_id": f"mcptoolu_{number}",
        "is_error": is_error,
        "content": [{"type": "text", "text": text} for text in texts or ("Because.",)],
    }


def test_a_call_is_streamed_in_the_recorded_order(cut, read):
    answer = read(cut([call(), answered(), TEXT]))
    item = answer.output[0]
    assert list(item) == [
        "id",
        "type",
        "status",
        "approval_request_id",
        "arguments",
        "error",
        "name",
        "output",
        "server_label",
    ]
    assert item["id"].startswith("mcp_")
    assert (item["status"], item["arguments"], item["output"]) == ("completed", '{"question":"Why?"}', "Because.")
    assert (item["name"], item["server_label"], item["error"]) == ("ask", "docs", None)
    assert [event["type"].removeprefix("response.") for event in answer.events[2:8]] == [
        "output_item.added",
        "mcp_call.in_progress",
        "mcp_call_arguments.delta",
        "mcp_call_arguments.done",
        "mcp_call.completed",
        "output_item.done",
    ]


def test_what_came_of_it_is_sealed_beside_it(cut, read):
    answer = read(cut([call(), answered(), TEXT]))
    assert answer.types == ["mcp_call", "reasoning", "message"]
    assert answer.sealed == [call(), answered()]


def test_a_call_that_failed_has_an_error_and_no_output(cut, read):
    answer = read(cut([call(), answered(1, "No such repository.", is_error=True), TEXT]))
    item = answer.output[0]
    assert item["status"] == "failed"
    assert item["output"] is None
    assert item["error"] == {
        "type": "mcp_tool_execution_error",
        "content": [{"type": "text", "text": "No such repository."}],
    }
    assert "response.mcp_call.failed" in [event["type"] for event in answer.events]


def test_a_call_without_a_result_is_incomplete(cut, read):
    item = read(cut([call(), TEXT])).output[0]
    assert (item["status"], item["output"], item["error"]) == ("incomplete", None, None)


def test_calls_that_run_together_are_items_one_after_the_other(cut, read):
    blocks = [call(1), call(2, question="How?"), answered(2, "So."), answered(1, "a", "b"), TEXT]
    answer = read(cut(blocks))
    assert [(item["arguments"], item["output"]) for item in answer.of_type("mcp_call")] == [
        ('{"question":"Why?"}', "a\nb"),
        ('{"question":"How?"}', "So."),
    ]
    assert answer.sealed == blocks[:-1]


def test_a_listing_of_tools_is_an_item_of_its_own_and_sealed(cut, read):
    answer = read(cut([LISTING, call(), answered(), TEXT]))
    listed = answer.output[0]
    assert listed == {
        "id": listed["id"],
        "type": "mcp_list_tools",
        "server_label": "docs",
        "tools": [{"annotations": None, "description": "Asks.", "input_schema": {"type": "object"}, "name": "ask"}],
    }
    assert [event["type"].removeprefix("response.") for event in answer.events[2:6]] == [
        "output_item.added",
        "mcp_list_tools.in_progress",
        "mcp_list_tools.completed",
        "output_item.done",
    ]
    assert answer.sealed == [LISTING, call(), answered()]
