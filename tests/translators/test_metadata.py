"""What is wrong with `metadata` is said in OpenAI's words, with the key and never the value."""

import json
from typing import Any

import pytest

from translators.batches.request_body import parse_request as parse_batch
from translators.chat_completions.request_body import parse_request as parse_chat
from translators.errors import OpenAIError
from translators.metadata import check_metadata
from translators.responses.request_body import parse_request as parse_response

GOOD = {
    parse_chat: {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]},
    parse_response: {"model": "gpt-4o", "input": "Hi"},
    parse_batch: {"input_file_id": "file-1", "endpoint": "/v1/responses", "completion_window": "24h"},
}


@pytest.mark.parametrize(
    ("metadata", "code", "param", "message"),
    [
        (
            {str(n): "" for n in range(17)},
            "object_above_max_properties",
            "metadata",
            (
                "Invalid 'metadata': too many properties. Expected an object with at most 16 properties, but got "
                "an object with 17 properties instead."
            ),
        ),
        (
            {"abc" + "k" * 60 + "xyz": "Zq7"},
            "property_name_above_max_length",
            "metadata.abc...xyz",
            (
                "Invalid property name in 'metadata': 'abc...xyz' is too long. Expected a string with maximum length "
                "64, but got a string with length 66 instead."
            ),
        ),
        (
            {"a": "", "k": "Zq7" * 200},
            "string_above_max_length",
            "metadata.k",
            (
                "Invalid 'metadata.k': string too long. Expected a string with maximum length 512, but got a string "
                "with length 600 instead."
            ),
        ),
    ],
    ids=["pairs", "key", "value"],
)
def test_what_is_too_long_or_too_many_is_named(metadata: dict[str, str], code: str, param: str, message: str) -> None:
    with pytest.raises(OpenAIError) as refused:
        check_metadata(metadata)
    error = refused.value
    assert (error.status, error.code, error.param, error.message) == (400, code, param, message)


def test_what_is_within_the_limits_is_taken() -> None:
    check_metadata({f"{n:064}": "v" * 512 for n in range(16)})


@pytest.mark.parametrize(
    ("value", "kind"),
    [(7, "an integer"), (7.5, "a decimal"), (True, "a boolean"), (None, "null"), ([], "an array"), ({}, "an object")],
    ids=str,
)
@pytest.mark.parametrize(
    ("key", "shown"),
    [("a", "a"), ("k" * 65, "kkk...kkk"), ("", ""), ("ü` - at `$.x", "ü` - at `$.x")],
    ids=["plain", "long", "empty", "odd"],
)
@pytest.mark.parametrize("parse", GOOD, ids=["chat", "responses", "batches"])
def test_the_key_of_what_is_no_string_is_named(parse: Any, key: str, shown: str, value: Any, kind: str) -> None:
    with pytest.raises(OpenAIError) as refused:
        parse(json.dumps({**GOOD[parse], "metadata": {"good": "x", key: value, "later": 1}}).encode())
    error = refused.value
    assert (error.status, error.code, error.param) == (400, "invalid_type", f"metadata.{shown}")
    assert error.message == f"Invalid type for 'metadata.{shown}': expected a string, but got {kind} instead."


@pytest.mark.parametrize("parse", GOOD, ids=["chat", "responses", "batches"])
@pytest.mark.parametrize("metadata", [b'{"a":1,"a":"x"}', b'{"a":1e999}', b'{"a":123456789012345678901234567890}'])
def test_odd_json_is_refused_too(parse: Any, metadata: bytes) -> None:
    body = json.dumps({**GOOD[parse], "metadata": "M"}).encode().replace(b'"M"', metadata)
    with pytest.raises(OpenAIError) as refused:
        parse(body)
    assert refused.value.status == 400
    assert str(refused.value.param).startswith("metadata")
