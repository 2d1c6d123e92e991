import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.translators.responses.translated import translate
from translators.translation_warning import encode_header
from translators.unknown_parameters import warn_of_unknown


@pytest.mark.parametrize("name", ["top_k", "maxTokens", "client_metadata", "_private", "x" * 40])
def test_a_word_is_named(name):
    assert encode_header(tuple(warn_of_unknown([name]))) == f"{name}=ignored"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x\r\nset-cookie: a=b",
        "seed=mapped, x",
        "top k",
        "top_k\n",
        "Überschrift",
        "\ud800",
        "sk-proj-0123456789abcdef",
        "What does my contract say of the notice?",
        "x" * 41,
    ],
)
def test_what_is_no_word_is_reported_without_its_name(name):
    assert encode_header(tuple(warn_of_unknown([name]))) == "unknown=ignored"


def test_the_first_few_are_named_and_the_others_counted():
    warnings = warn_of_unknown([f"made_up_{number}" for number in range(100_000)])
    assert [warning.param for warning in warnings] == [*(f"made_up_{number}" for number in range(8)), "unknown"]


@given(st.lists(st.text() | st.from_regex("[a-z_]{1,60}", fullmatch=True), max_size=30))
def test_whatever_a_client_sends_the_header_is_short_and_one_line(names):
    header = encode_header(tuple(warn_of_unknown(names)))
    assert len(header) < 500
    assert header.isascii()
    assert header.isprintable()
    assert bool(header) == bool(names)


def test_a_name_of_another_endpoint_is_not_taken_for_this_ones_word():
    warnings = translate(messages=None, reasoning_effort=None).warnings
    assert [warning.param for warning in warnings] == ["messages", "reasoning_effort"]
