"""What is masked of a text. That no secret reaches the log is held in test_logs.py."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.observation import redaction
from addon.observation.redaction import REDACTED, redact, redact_text

KEY = "sk-ant-api03-AbCdEf_123-456"


@pytest.mark.parametrize(
    "text",
    [
        "task-specific-words",
        "risk-averse",
        "the bearer of news",
        "tokens per second",
        "finish_reason=stop",
        "a key: value",
        "http://127.0.0.1:8000/v1",
        "https://example.com/@someone",
    ],
)
def test_ordinary_words_are_not_masked(text):
    assert redact_text(text) == text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (KEY, REDACTED),
        (f'é"{KEY}"\n\\', f'é"{REDACTED}"\n\\'),
        (f"\u2028{KEY}ü", f"\u2028{REDACTED}ü"),
        (f"模型={KEY}", f"模型={REDACTED}"),
        (KEY.upper(), REDACTED),
        # What a regular expression takes for a letter of ASCII where case does not matter.
        (KEY.replace("s", "\u017f").replace("k", "\u212a"), REDACTED),
        ("coo\u212aie: AbCdEf", f"coo\u212aie: {REDACTED}"),
        ("author\u0131zation=AbCdEf", f"author\u0131zation={REDACTED}"),
    ],
)
@pytest.mark.parametrize("beside", ["", "模型", "nothing"])
def test_a_key_is_masked_whatever_stands_around_it_and_in_the_other_fields(text, masked, beside):
    event = {"first": beside, "detail": text, "listed": [beside, text], "last": beside}
    expected = {"first": beside, "detail": masked, "listed": [beside, masked], "last": beside}
    assert redact(None, "info", event) == expected
    assert redact(None, "info", {"listed": [text]}) == {"listed": [masked]}


def test_what_looks_like_a_key_across_two_fields_is_none():
    event = {"model": "sk-", "claude_model": "AbCdEf_123-456", "code": "x://me:secret", "cause": "@host"}
    assert redact(None, "info", event) == event


def test_text_of_a_class_of_its_own_is_masked():
    class Text(str):
        __slots__ = ()

    assert redact(None, "info", {"detail": Text(KEY)}) == {"detail": REDACTED}


_PIECES = st.sampled_from(
    [
        *redaction._SIGNS,
        KEY,
        "sK-",
        "Bearer ",
        "@",
        "/",
        ":",
        "=",
        '"',
        "\n",
        " ",
        "AbCdEf_123-456",
        "a",
        "é",
        "\u017f",
        "\u212a",
    ]
)
_TEXTS = st.lists(_PIECES | st.characters(), max_size=8).map("".join)


@given(
    st.dictionaries(st.sampled_from(["event", "Cookie", "x_api_key", "a", "b"]), _TEXTS | st.lists(_TEXTS) | st.none())
)
def test_one_look_at_all_fields_together_masks_the_same_as_one_at_each(event: dict[str, Any]):
    def masked(text: str) -> str:
        for pattern in redaction._SECRETS:
            text = pattern.sub(rf"\1\2{REDACTED}", text)
        return text

    expected = {
        name: masked(value) if isinstance(value, str) else [masked(item) for item in value] if value else value
        for name, value in event.items()
        if name not in ("Cookie", "x_api_key")
    }
    assert redact(None, "info", event) == expected
