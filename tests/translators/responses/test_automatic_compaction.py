"""When a conversation is compacted without being asked, and what it is then."""

from typing import Any

import pytest

from tests.translators.responses.translated import translate
from translators.responses.automatic_compaction import exceeds_plausibly
from translators.responses.reasoning_envelope import open_compaction, seal_compaction

KEY = b"key"
USER = {"role": "user", "content": "A question."}
SAID = {"role": "assistant", "content": "An answer."}
RULES = {"role": "developer", "content": "Rules."}
ENTRY = {"type": "compaction", "compact_threshold": 3000}
PLAIN = {"type": "compaction", "id": "cmp_1", "encrypted_content": seal_compaction("Plain.", "m", KEY)}
AUTOMATIC = {
    "type": "compaction",
    "id": "cmp_2",
    "encrypted_content": seal_compaction("Automatic.", "m", KEY, [{"role": "user", "content": "Kept."}]),
}


def texts(items: list[Any], **context: Any) -> list[str]:
    translated = translate(input=items, context={"envelope_key": KEY, **context})
    return [
        block["text"].removeprefix("This is a summary of the conversation up to here, which takes its place:\n\n")
        for message in translated.params["messages"]
        for block in message["content"]
    ]


@pytest.mark.parametrize(
    ("items", "entries", "threshold"),
    [
        ([USER, SAID, USER], [ENTRY], 3000),
        ([USER, SAID, USER], [ENTRY, {**ENTRY, "compact_threshold": 2000}], 2000),
        ([USER, SAID, USER], [{"type": "compaction"}], 900_000),
        ([USER, SAID, USER], None, None),
        ([USER, SAID, USER], [], None),
        ([RULES, USER, USER], [ENTRY], None),
        ([AUTOMATIC, USER], [ENTRY], None),
        ([AUTOMATIC, SAID, USER], [ENTRY], 3000),
        ([USER, SAID, {"type": "compaction_trigger"}], [ENTRY], None),
    ],
)
def test_it_is_compacted_where_that_is_wanted_and_there_is_something(
    items: list[Any], entries: list[Any] | None, threshold: int | None
) -> None:
    translated = translate(input=items, context_management=entries, context={"envelope_key": KEY})
    assert translated.compact_threshold == threshold


@pytest.mark.parametrize(
    ("request_body", "plausible"),
    [(b"x" * 5999, False), (b"x" * 6000, True), (b'{"source":{"type":"url","url":"u"}}', True), (b"", False)],
)
def test_what_cannot_have_so_many_tokens_is_not_counted(request_body: bytes, plausible: bool) -> None:
    assert exceeds_plausibly(request_body, 3000) is plausible


def test_the_users_newest_words_are_kept_and_the_rest_is_summarised() -> None:
    translated = translate(
        input=[RULES, USER, SAID, {"role": "user", "content": "One."}, {"role": "user", "content": "Two."}],
        max_output_tokens=16,
        context={"envelope_key": KEY, "compacts": True},
    )
    assert translated.plan.is_compaction
    assert translated.plan.kept_items is not None
    assert [item["content"] for item in translated.plan.kept_items] == ["One.", "Two."]
    said = [block["text"] for message in translated.params["messages"] for block in message["content"]]
    assert said[:2] == ["A question.", "An answer."]
    assert said[2].startswith("Summarise our conversation")
    assert translated.params["max_tokens"] > 16
    assert len(translated.input_items) == 5


def test_what_goes_on_from_it_is_the_same_whoever_sends_what() -> None:
    expected = ["Automatic.", "Kept."]
    assert texts([RULES, USER, SAID, USER], compaction=AUTOMATIC) == expected
    assert texts([RULES, AUTOMATIC]) == expected
    assert texts([RULES, USER, SAID, USER, AUTOMATIC]) == expected
    assert texts([RULES, PLAIN, SAID, USER, AUTOMATIC, SAID, USER]) == [*expected, "An answer.", "A question."]


def test_a_compaction_that_was_asked_for_stands_beside_the_words_of_the_user() -> None:
    assert texts([USER, PLAIN, {"role": "user", "content": "Next."}]) == ["A question.", "Plain.", "Next."]


@pytest.mark.parametrize("kept", [None, (), ({"role": "user", "content": "Kept."},)])
def test_what_is_kept_survives_the_envelope(kept: tuple[dict[str, Any], ...] | None) -> None:
    opened = open_compaction(seal_compaction("Summary.", "m", KEY, kept), KEY)
    assert opened is not None
    assert opened.kept == kept
