from dataclasses import replace

from tests.translators.responses.blocks import PLAN, SILENT, TEXT, THINKING, citing, found, search


def test_a_search_is_streamed_in_the_recorded_order(cut, read):
    answer = read(cut([search(1, "weather"), found(1, "https://a", "https://b"), TEXT]))
    call = answer.output[0]
    assert call == {
        "id": call["id"],
        "type": "web_search_call",
        "status": "completed",
        "action": {"type": "search", "queries": ["weather"], "query": "weather"},
    }
    assert [event["type"].removeprefix("response.") for event in answer.events[2:7]] == [
        "output_item.added",
        "web_search_call.in_progress",
        "web_search_call.searching",
        "web_search_call.completed",
        "output_item.done",
    ]
    assert answer.types == ["web_search_call", "reasoning", "message"]
    assert answer.sealed == [search(1, "weather"), found(1, "https://a", "https://b")]


def test_searches_count_in_the_usage_of_tools(cut, read):
    usage = {"input_tokens": 1, "output_tokens": 1, "server_tool_use": {"web_search_requests": 2}}
    assert read(cut([TEXT], usage=usage)).whole["tool_usage"]["web_search"] == {"num_requests": 2}


def test_searches_that_run_together_are_items_one_after_the_other(cut, read):
    plan = replace(PLAN, include=frozenset({"web_search_call.action.sources"}))
    blocks = [search(1, "a"), search(2, "b"), search(3, "c"), found(2, "https://b"), found(1, "https://a"), TEXT]
    answer = read(cut(blocks), plan=plan)
    calls = answer.of_type("web_search_call")
    assert [(call["action"]["query"], call["status"]) for call in calls] == [
        ("a", "completed"),
        ("b", "completed"),
        ("c", "incomplete"),
    ]
    assert [call["action"]["sources"] for call in calls[:2]] == [
        [{"type": "url", "url": "https://a"}],
        [{"type": "url", "url": "https://b"}],
    ]
    assert answer.sealed == blocks[:-1]


def test_a_search_that_failed_says_so(cut, read):
    failed = {
        "type": "web_search_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"},
    }
    answer = read(cut([search(), failed, TEXT]))
    assert answer.output[0]["status"] == "failed"


def test_a_fetch_is_an_opened_page(cut, read):
    fetch = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_fetch", "input": {"url": "https://a"}}
    page = {"type": "web_fetch_tool_result", "tool_use_id": "srvtoolu_1", "content": {"type": "web_fetch_result"}}
    answer = read(cut([fetch, page, TEXT]))
    assert answer.output[0]["action"] == {"type": "open_page", "url": "https://a"}


def test_thinking_after_a_search_is_sealed_with_it(cut, read):
    blocks = [THINKING, search(1), found(1), search(2), found(2), SILENT, TEXT]
    answer = read(cut(blocks))
    assert answer.types == ["reasoning", "web_search_call", "web_search_call", "reasoning", "message"]
    assert answer.sealed == blocks[:-1]


def test_citations_are_annotations_of_the_text_of_their_block(cut, read):
    blocks = [
        {"type": "text", "text": "So: "},
        citing("it rains", "https://a", "https://b", "https://a"),
        {"type": "text", "text": ". "},
        citing("It pours", "https://b"),
    ]
    answer = read(cut(blocks))
    (part,) = answer.output[0]["content"]
    cited = [(part["text"][n["start_index"] : n["end_index"]], n["url"], n["title"]) for n in part["annotations"]]
    assert cited == [
        ("it rains", "https://a", "Page https://a"),
        ("it rains", "https://b", "Page https://b"),
        ("It pours", "https://b", "Page https://b"),
    ]


def test_a_block_without_text_has_nothing_to_cite(cut, read):
    answer = read(cut([TEXT, citing("", "https://a")]))
    assert answer.output[0]["content"][0]["annotations"] == []
