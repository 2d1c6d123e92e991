"""The lines of an input file: OpenAI's own codes for what is wrong with them, as recorded from its API."""

import json

import pytest

from translators.batches.input_lines import MAX_LINES, InputChecker, split_lines

CHAT = "/v1/chat/completions"
GOOD = {"custom_id": "a", "method": "POST", "url": CHAT, "body": {"model": "gpt-4o", "messages": []}}


def without(name):
    return {key: value for key, value in GOOD.items() if key != name}


WRONG = {
    "no_json": ("{", "invalid_json_line", None),
    "no_object": ([1], "invalid_request", None),
    "no_custom_id": (without("custom_id"), "missing_required_parameter", "custom_id"),
    "no_method": (without("method"), "missing_required_parameter", "method"),
    "no_url": (without("url"), "missing_required_parameter", "url"),
    "no_body": (without("body"), "missing_required_parameter", "body"),
    "custom_id_of_another_type": ({**GOOD, "custom_id": 1}, "invalid_request", "custom_id"),
    "empty_custom_id": ({**GOOD, "custom_id": ""}, "invalid_request", "custom_id"),
    "get": ({**GOOD, "method": "GET"}, "invalid_method", "method"),
    "other_url": ({**GOOD, "url": "/v1/responses"}, "invalid_url", "url"),
    "url_of_another_type": ({**GOOD, "url": 1}, "invalid_url", "url"),
    "body_of_another_type": ({**GOOD, "body": "x"}, "invalid_request", "body"),
    "no_model": ({**GOOD, "custom_id": "b", "body": {}}, "invalid_request", "body.model"),
    "model_of_another_type": ({**GOOD, "custom_id": "b", "body": {"model": 1}}, "invalid_request", "body.model"),
    "duplicate": (GOOD, "duplicate_custom_id", "custom_id"),
    "other_model": ({**GOOD, "custom_id": "b", "body": {"model": "gpt-5"}}, "model_mismatch", "body.model"),
}


def encoded(line):
    return line if isinstance(line, bytes) else (line if isinstance(line, str) else json.dumps(line)).encode()


@pytest.mark.parametrize(("line", "code", "param"), WRONG.values(), ids=WRONG)
def test_a_wrong_line_has_a_code_a_number_and_a_parameter(line, code, param):
    checker = InputChecker(CHAT)
    assert checker.check(1, encoded(GOOD)) is not None
    assert checker.check(2, encoded(line)) is None
    (error,) = checker.errors
    assert (error.code, error.line, error.param) == (code, 2, param)
    assert error.message


def test_a_right_line_keeps_its_body_as_it_is():
    body = b'{"model": "gpt-4o",  "n": 1.0}'
    line = InputChecker(CHAT).check(
        7, b'{"custom_id":"x","method":"POST","url":"/v1/chat/completions","body":%b}' % body
    )
    assert (line.number, line.custom_id, line.body, line.model, line.refusal) == (7, "x", body, "gpt-4o", None)


@pytest.mark.parametrize(
    ("flag", "code"), [("stream", "streaming_unsupported"), ("background", "unsupported_parameter")]
)
def test_what_needs_somebody_who_waits_is_refused_for_the_line_alone(flag, code):
    checker = InputChecker(CHAT)
    line = checker.check(1, encoded({**GOOD, "body": {"model": "gpt-4o", flag: True}}))
    assert (line.refusal.code, line.refusal.param) == (code, flag)
    assert checker.errors == []
    assert checker.check(2, encoded({**GOOD, "custom_id": "b"})).refusal is None


@pytest.mark.parametrize("url", [CHAT, "/chat/completions"])
@pytest.mark.parametrize("endpoint", [CHAT, "/chat/completions"])
def test_azures_paths_are_the_same_endpoint(endpoint, url):
    assert InputChecker(endpoint).check(1, encoded({**GOOD, "url": url})) is not None


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n \n\r\n", []),
        (b"a\nb", [(1, b"a"), (2, b"b")]),
        (b"a\r\n\r\n b \n", [(1, b"a"), (3, b"b")]),
        ("é\u2028\u0085x\n".encode(), [(1, "é\u2028\u0085x".encode())]),
    ],
    ids=["empty", "blank", "two", "gap", "other_line_breaks"],
)
def test_lines_have_the_numbers_that_an_editor_shows(content, lines):
    assert list(split_lines(content)) == lines


def test_a_file_without_lines_is_an_error():
    checker = InputChecker(CHAT)
    checker.finish()
    assert [(error.code, error.param) for error in checker.errors] == [("empty_file", "input_file_id")]


def test_too_many_lines_are_one_error_and_end_the_check():
    checker = InputChecker(CHAT)
    for number in range(1, MAX_LINES + 2):
        assert not checker.is_hopeless
        checker.check(number, encoded({**GOOD, "custom_id": str(number)}))
    assert checker.is_hopeless
    assert [error.code for error in checker.errors] == ["too_many_tasks"]


def test_a_file_that_is_wrong_everywhere_is_not_read_to_its_end():
    checker = InputChecker(CHAT)
    number = 0
    while not checker.is_hopeless:
        number += 1
        checker.check(number, b"nonsense")
    assert number == 100
