import pytest
from hypothesis import given
from hypothesis import strategies as st

from translators.code_fence import CodeFenceStripper


def strip(*pieces):
    stripper = CodeFenceStripper()
    return "".join(stripper.feed(piece) for piece in pieces) + stripper.flush()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('```json\n{"a": 1}\n```', '{"a": 1}'),
        ('```\n{"a": 1}\n```', '{"a": 1}'),
        ('```JSON\r\n{"a": 1}\r\n```\r\n', '{"a": 1}'),
        ('  \n```json\n{"a": 1}\n  ```  \n', '{"a": 1}'),
        ('```json\n{\n  "a": 1\n}\n```', '{\n  "a": 1\n}'),
        ('```json\n{"a": "```"}\n```', '{"a": "```"}'),
        ('```json\n{"a": "``` x ```"}\n```', '{"a": "``` x ```"}'),
        ('```json\n{"a": 1}\n```\n\nHere you are.', '{"a": 1}'),
        ('```json\n{"a": 1}```', '{"a": 1}'),
        ('```json\n{"a": 1}', '{"a": 1}'),
        ('{"a": "```json"}', '{"a": "```json"}'),
        ("{}\n", "{}\n"),
        ("\n{}", "\n{}"),
        ("``", "``"),
        ("", ""),
        ("Here: ```json\n{}\n```", "Here: ```json\n{}\n```"),
    ],
)
def test_T16_the_fence_is_taken_off_however_the_text_is_cut(text, expected):
    assert strip(text) == expected
    assert strip(*text) == expected
    for position in range(len(text)):
        assert strip(text[:position], text[position:]) == expected


@given(st.lists(st.sampled_from(["```", "`", "json", "\n", "{", '"a"', "}", " ", "x"]), max_size=12))
def test_any_text_gives_the_same_however_it_is_cut(pieces):
    assert strip(*pieces) == strip("".join(pieces)) == strip(*"".join(pieces))


def test_only_what_may_be_a_fence_is_held_back():
    stripper = CodeFenceStripper()
    assert [stripper.feed(piece) for piece in ("``", "`json\n", "{", '"a": "`', '`x"', "}", "\n", "``", "`")] == [
        "",
        "",
        "{",
        '"a": "',
        '``x"',
        "}",
        "",
        "",
        "",
    ]
    assert stripper.flush() == ""


def test_a_text_that_begins_otherwise_passes_at_once():
    assert CodeFenceStripper().feed("{") == "{"
