"""What the fuzzer found once, each by itself."""

import json
from typing import Any

import pytest

from addon.storage.pages import read_page_query
from tests.fuzz import seeds
from tests.fuzz.hostile import Text, encode_bytes, sse
from tests.fuzz.target import outcome_of
from tests.fuzz.targets import TARGETS
from tests.translators.claude_messages import cut_message
from translators.chat_completions.reply_plan import ReplyPlan
from translators.errors import OpenAIError
from translators.responses.reply_plan import ResponsesPlan, ToolIdentity

TARGETS_BY_NAME = {target.name: target for target in TARGETS}
DEEP = Text("[" * 20_000 + "]" * 20_000)
HUGE = Text("1" * 400)
MALFORMED = "MalformedEventError"
REFUSED = "OpenAIError"
SHELL = ResponsesPlan("gpt-5.5", tools={"shell": ToolIdentity("shell", "shell")})


def form(disposition: bytes) -> tuple[str, bytes]:
    part = b"--XX\r\nContent-Disposition: %b\r\n\r\nx\r\n--XX--\r\n" % disposition
    return "multipart/form-data; boundary=XX", part


def stream_of(block: dict[str, Any], *deltas: dict[str, Any]) -> list[bytes]:
    start, *_ = cut_message([])
    opened = {"type": "content_block_start", "index": 0, "content_block": block}
    added = [{"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas]
    return [sse([start, opened, *added, {"type": "content_block_stop", "index": 0}])]


CASES: dict[str, tuple[str, Any, str]] = {
    "an_infinite_number_behind_a_mistake": (
        "responses request",
        (encode_bytes({"model": "x", "input": [5, Text("1e999")]}), "claude-opus-5-5", "asked"),
        REFUSED,
    ),
    "no_utf8_behind_a_mistake": (
        "responses request",
        (b'{"model":{"\xaa":"x"},"input":"Hi"}', "claude-opus-5-5", "asked"),
        REFUSED,
    ),
    "a_limit_of_four_hundred_digits": ("page query", {"limit": HUGE}, REFUSED),
    "an_expiry_of_four_hundred_digits": (
        "batches request",
        encode_bytes({**seeds.BATCHES[0], "output_expires_after": {"anchor": "created_at", "seconds": HUGE}}),
        REFUSED,
    ),
    "a_query_that_is_no_utf8": ("page query", {"order": "\udcff"}, REFUSED),
    "an_id_that_is_no_utf8": ("page query", {"after": "\udcff"}, REFUSED),
    "an_item_whose_id_is_an_object": ("stored items", b'[{"type": "of_a_later_version", "id": {}}]', REFUSED),
    "an_unknown_item_that_is_deep": (
        "stored items",
        encode_bytes([{"type": "of_a_later_version", "x": Text("[" * 9_900 + "]" * 9_900)}]),
        REFUSED,
    ),
    "a_parameter_in_pieces_without_an_order": ("form", form(b"form-data; name*=a; name*0=b"), REFUSED),
    "a_file_name_that_is_no_utf8": ("form", form(b"form-data; name=file; filename*=ascii''%ff"), "value"),
    "deep_tool_arguments": ("tool arguments", (f'{{"a": {DEEP}}}', [3]), "value"),
    "a_deep_event": (
        "chat completions stream",
        ([sse([{"type": "message_start", "x": DEEP}])], ReplyPlan("x")),
        MALFORMED,
    ),
    "a_deep_block": ("chat completions stream", (stream_of({"type": "text", "x": DEEP}), ReplyPlan("x")), MALFORMED),
    "a_call_whose_input_is_a_number": (
        "responses stream",
        (stream_of({"type": "tool_use", "id": "toolu_1", "name": "shell", "input": 5}), SHELL),
        REFUSED,
    ),
    "citations_that_are_a_number": (
        "chat completions stream",
        (
            stream_of({"type": "text", "text": "x", "citations": 5}, {"type": "citations_delta", "citation": {}}),
            ReplyPlan("x"),
        ),
        MALFORMED,
    ),
    "citations_of_a_whole_message_that_are_a_number": (
        "whole message",
        encode_bytes({**seeds.MESSAGE, "content": [{"type": "text", "text": "x", "citations": 5}]}),
        REFUSED,
    ),
    "a_deep_whole_message": ("whole message", encode_bytes({"usage": DEEP}), REFUSED),
    "a_deep_result": ("batch result", encode_bytes({"custom_id": DEEP}), MALFORMED),
    "a_deep_error": ("claude error", (400, encode_bytes({"error": DEEP}), {}), "value"),
}


@pytest.mark.parametrize(("name", "case", "outcome"), CASES.values(), ids=CASES)
def test_what_was_found_comes_to_a_named_outcome(name: str, case: Any, outcome: str) -> None:
    assert outcome_of(TARGETS_BY_NAME[name], case) == outcome


def test_a_limit_is_quoted_as_it_was_given() -> None:
    with pytest.raises(OpenAIError) as caught:
        read_page_query({"limit": "10000000"})
    assert json.loads(caught.value.encode())["error"]["message"].endswith("but got 10000000 instead.")
