"""What one more plain message of a conversation costs: most requests are long histories of plain text."""

import sys
from collections import Counter
from typing import Any

import msgspec

from translators.chat_completions.request import TranslationContext, translate_request
from translators.chat_completions.request_body import parse_request
from translators.model_catalog import ModelCatalog
from translators.uploaded_files import find_file_ids

_CALLS = 20
"""Of functions, those of C among them."""


def test_a_plain_message_costs_few_calls():
    assert (_calls(120) - _calls(20)) / 100 <= _CALLS


def _calls(messages: int) -> int:
    """Count the calls that a conversation costs from its bytes to Claude's parameters with all its files."""
    history = [{"role": ("user", "assistant")[number % 2], "content": "Some text."} for number in range(messages)]
    body = msgspec.json.encode({"model": "gpt-5", "messages": [*history, {"role": "user", "content": "More."}]})
    context = TranslationContext(ModelCatalog("claude-opus-5-5"))
    calls: Counter[str] = Counter()

    def count(_frame: object, event: str, _argument: Any) -> None:
        calls[event] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        find_file_ids(translate_request(parse_request(body), context).params)
    finally:
        sys.setprofile(before)
    return calls["call"] + calls["c_call"]
