"""The envelope returns what was sealed, under the same key only, and nothing that was changed."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translators.responses.reasoning_envelope import (
    Compaction,
    Envelope,
    open_compaction,
    open_envelope,
    seal,
    seal_compaction,
)

KEY = b"k" * 32
THINKING = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
REDACTED = {"type": "redacted_thinking", "data": "b3BhcXVl"}

_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=8,
)
_blocks = st.lists(st.dictionaries(st.text(), _json, max_size=3), max_size=4)


@given(_blocks, st.text(), st.text())
def test_R5_every_block_returns_as_it_was_and_in_its_order(blocks, model, prefix):
    assert open_envelope(seal(blocks, model, KEY, prefix), KEY) == Envelope(tuple(blocks), model, prefix)


def test_R4_redacted_thinking_is_carried_along():
    opened = open_envelope(seal([THINKING, REDACTED], "claude-opus-5-5", KEY), KEY)
    assert opened is not None
    assert opened.blocks == (THINKING, REDACTED)


def test_equal_content_gives_equal_text():
    assert seal([THINKING], "m", KEY) == seal([dict(THINKING)], "m", KEY)


def test_key_order_inside_a_block_stays():
    block = {"signature": "c2ln", "type": "thinking", "thinking": ""}
    opened = open_envelope(seal([block], "m", KEY), KEY)
    assert opened is not None
    assert list(opened.blocks[0]) == ["signature", "type", "thinking"]


def test_R8_another_key_opens_nothing():
    assert open_envelope(seal([THINKING], "m", KEY), b"another") is None
    assert open_compaction(seal_compaction("Short.", "m", KEY), b"another") is None


@given(st.data())
def test_R8_a_changed_envelope_opens_nothing(data):
    sealed = seal([THINKING], "m", KEY)
    raw = bytearray(base64.urlsafe_b64decode(sealed[5:]))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert open_envelope(sealed[:5] + base64.urlsafe_b64encode(raw).decode(), KEY) is None


@pytest.mark.parametrize(
    "text",
    ["", "gAAAAABo-foreign", "cpe1_", "cpe1_AA", "cpe1_@@@@", "cpe1_é", "CPE1_AAAA", '[{"type":"thinking"}]'],
    ids=["empty", "openai", "bare", "short", "no base64", "no ascii", "other version", "json"],
)
def test_R8_foreign_content_opens_nothing(text):
    assert open_envelope(text, KEY) is None
    assert open_compaction(text, KEY) is None


def test_neither_kind_opens_as_the_other():
    assert open_compaction(seal([THINKING], "m", KEY), KEY) is None
    assert open_envelope(seal_compaction("Short.", "m", KEY), KEY) is None


def test_a_summary_returns():
    assert open_compaction(seal_compaction("Short: 5 £.", "m", KEY), KEY) == Compaction("Short: 5 £.", "m")


def test_an_envelope_is_smaller_than_what_it_holds():
    block = {"type": "thinking", "thinking": "The user wants tests. " * 200, "signature": "c2ln" * 100}
    assert len(seal([block], "m", KEY)) < len(str(block)) / 4
