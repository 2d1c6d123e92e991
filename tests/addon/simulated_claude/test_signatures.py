"""Thinking comes back unmodified, in its own conversation, or not at all."""

from typing import Any

import pytest

from addon.simulated_claude.model_table import MODELS
from addon.simulated_claude.signatures import check_signatures, read_issued, sign_answer

OPUS = MODELS["claude-opus-5-5"]
OPUS_5 = MODELS["claude-opus-5"]  # does not bind thinking to the conversation
USER = {"role": "user", "content": "hi"}
NEXT = {"role": "user", "content": "go on"}


def conversation(model=OPUS, thought="Hm.", **changes: Any) -> dict[str, Any]:
    body = {"messages": [USER], "system": "Be kind.", **changes}
    content = [{"type": "thinking", "thinking": thought}, {"type": "text", "text": "Hello."}]
    answer = {"role": "assistant", "content": sign_answer(body, model, content)}
    return {**body, "messages": [*body["messages"], answer, NEXT]}


def verdict(body: dict[str, Any], model=OPUS, **more: Any) -> str | None:
    error, _ = check_signatures(body, model, check_prefix=True, issued={}, **more)
    return None if error is None else error.message


def changed_thinking(body: dict[str, Any], **changes: Any) -> dict[str, Any]:
    first, answer, *rest = body["messages"]
    block = {**answer["content"][0], **changes}
    return {**body, "messages": [first, {**answer, "content": [block, *answer["content"][1:]]}, *rest]}


def test_unmodified_thinking_is_taken():
    assert verdict(conversation()) is None


@pytest.mark.parametrize("signature", ["", "Zm9yZWlnbg==", "not base64!"])
def test_foreign_signatures_are_invalid(signature):
    assert verdict(changed_thinking(conversation(), signature=signature)) == (
        "messages.1.content.0: Invalid `signature` in `thinking` block"
    )


def test_modified_thinking_in_the_latest_answer_is_refused():
    message = verdict(changed_thinking(conversation(), thinking="Aha."))
    assert message is not None
    assert message.startswith(
        "messages.1.content.0: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be"
    )


def test_modified_thinking_in_an_earlier_answer_is_invalid():
    body = changed_thinking(conversation(), thinking="Aha.")
    body["messages"] += [{"role": "assistant", "content": "x"}, NEXT]
    assert verdict(body) == "messages.1.content.0: Invalid `signature` in `thinking` block"


BOUND = "messages.1.content.0: Invalid `signature` in `thinking` block. The block is bound to a different conversation."
CHANGES: dict[str, dict[str, Any]] = {
    "system": {"system": "Be brief."},
    "tools": {"tools": [{"name": "a", "input_schema": {"type": "object"}}]},
    "first message": {"messages": [{"role": "user", "content": "ho"}, *conversation()["messages"][1:]]},
}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_thinking_of_another_conversation_is_refused_where_the_model_binds_it(changes):
    message = verdict({**conversation(), **changes})
    assert message is not None
    assert message.startswith(BOUND)
    assert verdict({**conversation(OPUS_5), **changes}, OPUS_5) is None


def test_two_spellings_of_one_conversation_are_the_same_conversation():
    body = conversation()
    blocks = [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]
    respelled = {**body, "messages": [{"role": "user", "content": blocks}, *body["messages"][1:]]}
    respelled["system"] = [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    assert verdict(respelled) is None


def test_a_missing_earlier_thinking_block_breaks_the_later_one():
    body = conversation()
    content = [{"type": "thinking", "thinking": "More."}, {"type": "text", "text": "Yes."}]
    answer = {"role": "assistant", "content": sign_answer(body, OPUS, content)}
    longer = {**body, "messages": [*body["messages"], answer, NEXT]}
    assert verdict(longer) is None
    first, second, *rest = longer["messages"]
    without = {**longer, "messages": [first, {**second, "content": second["content"][1:]}, *rest]}
    message = verdict(without)
    assert message is not None
    assert message.startswith("messages.3.content.0: Invalid `signature`")


def test_drop_block_drops_instead_and_tells():
    body = {**conversation(), "system": "Be brief."}
    body["thinking"] = {"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "drop_block"}}
    error, dropped = check_signatures(body, OPUS, check_prefix=False, issued={})
    assert error is None
    assert dropped == [
        {"type": "thinking_dropped", "path": "messages.1.content.0", "reason": "prefix_binding_mismatch"}
    ]


def test_thinking_of_another_model_is_passed_over():
    assert verdict(conversation(MODELS["claude-opus-4-8"])) is None


def test_thinking_that_a_script_made_it_send_is_taken_back_unmodified_only():
    issued = read_issued(
        [
            {"type": "content_block_start", "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
            {"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "Hm."}},
            {"type": "content_block_delta", "delta": {"type": "signature_delta", "signature": "recorded"}},
        ]
    )  # fmt: skip
    body = changed_thinking(conversation(), signature="recorded")
    assert check_signatures(body, OPUS, check_prefix=True, issued=issued) == (None, [])
    error, _ = check_signatures(changed_thinking(body, thinking="No."), OPUS, check_prefix=True, issued=issued)
    assert error is not None
