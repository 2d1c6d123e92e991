import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translators.json_string import InputStringDecoder, unwrap_input


def decode(*pieces):
    decoder = InputStringDecoder()
    return "".join(decoder.feed(piece) for piece in pieces) + decoder.finish()


def cut_everywhere(text):
    yield [text]
    yield list(text)
    for position in range(len(text)):
        yield [text[:position], text[position:]]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"input": "plain"}', "plain"),
        ('{"input":""}', ""),
        ('{ "input" :\n"x" }', "x"),
        (r'{"input": "\"\\\/\b\f\n\r\t"}', '"\\/\b\f\n\r\t'),
        (r'{"input": "\u00e9\u4e2d"}', "é中"),
        (r'{"input": "a\ud83d\ude42b"}', "a🙂b"),
        (r'{"input": "\ud83d\ude42\ud83d\ude43"}', "🙂🙃"),
        (r'{"input": "\ud83d"}', "\ufffd"),
        (r'{"input": "\ud83dx"}', "\ufffdx"),
        (r'{"input": "\ud83d\n"}', "\ufffd\n"),
        (r'{"input": "\ud83d\u0041"}', "\ufffdA"),
        (r'{"input": "\ude42"}', "\ufffd"),
        (r'{"input": "\ud83d\ud83d\ude42"}', "\ufffd🙂"),
        ('{"input": "raw\nline feed"}', "raw\nline feed"),
        ('{"input": "x", "other": "y"}', "x"),
    ],
)
def test_the_string_is_the_same_however_its_json_is_cut(arguments, expected):
    for pieces in cut_everywhere(arguments):
        assert decode(*pieces) == expected


@given(st.text(), st.booleans(), st.randoms(use_true_random=False))
def test_any_text_comes_back_however_its_json_is_cut(text, ensure_ascii, draw):
    arguments = json.dumps({"input": text}, ensure_ascii=ensure_ascii)
    borders = sorted(draw.randrange(len(arguments) + 1) for _ in range(draw.randrange(6)))
    pieces = [arguments[a:b] for a, b in zip([0, *borders], [*borders, len(arguments)], strict=True)]
    assert decode(*pieces) == text


def test_every_character_is_passed_on_as_soon_as_it_is_complete():
    decoder = InputStringDecoder()
    passed = [decoder.feed(character) for character in r'{"input": "a\u00e9\n"}']
    assert [text for text in passed if text] == ["a", "é", "\n"]
    assert passed[11] == "a"
    assert passed[17] == "é"


@pytest.mark.parametrize(
    ("cut", "expected"),
    [
        ('{"input": "abc', "abc"),
        (r'{"input": "abc\u00', "abc"),
        (r'{"input": "abc\ud83d', "abc"),
        ('{"input": "abc\\', "abc"),
        ('{"inp', ""),
        ("", ""),
    ],
)
def test_S24_of_a_json_that_was_cut_off_every_whole_character_is_kept(cut, expected):
    for pieces in cut_everywhere(cut):
        assert decode(*pieces) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"input": {"a": 1}}', '{"a": 1}'),
        ('{"input": 5}', "5"),
        ('{"patch": "x"}', '{"patch": "x"}'),
        ('"x"', "x"),
        ("no JSON", "no JSON"),
    ],
)
def test_what_breaks_the_schema_is_shown_as_it_is(arguments, expected):
    for pieces in cut_everywhere(arguments):
        assert decode(*pieces) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"input": [1, 2]}', "[1, 2]"),
        ('{"input": "é"}', '"é"'),
        ('{"input": 1.10}', "1.10"),
        ('{"input": 1, "more": 2}', '{"input": 1, "more": 2}'),
        ('{"inp', '{"inp'),
        ("{}", "{}"),
    ],
)
def test_M25_unwrapping_keeps_the_bytes_of_the_value(arguments, expected):
    assert unwrap_input(arguments) == expected
