"""The body of a new batch."""

import json

import pytest

from translators.batches.request_body import ENDPOINTS, parse_request
from translators.errors import OpenAIError

GOOD = {"input_file_id": "file-1", "endpoint": "/v1/responses", "completion_window": "24h"}
WRONG = {
    "no_file": ({**GOOD, "input_file_id": None}, "invalid_type", "input_file_id"),
    "empty_file": ({**GOOD, "input_file_id": ""}, "missing_required_parameter", "input_file_id"),
    "no_endpoint": ({k: v for k, v in GOOD.items() if k != "endpoint"}, "missing_required_parameter", "endpoint"),
    "embeddings": ({**GOOD, "endpoint": "/v1/embeddings"}, "invalid_value", "endpoint"),
    "window": ({**GOOD, "completion_window": "1h"}, "invalid_value", "completion_window"),
    "metadata": ({**GOOD, "metadata": {"b": "", "a": 1}}, "invalid_type", "metadata.a"),
    "many_pairs": ({**GOOD, "metadata": {str(n): "" for n in range(17)}}, "object_above_max_properties", "metadata"),
    "long_key": ({**GOOD, "metadata": {"k" * 65: ""}}, "property_name_above_max_length", "metadata.kkk...kkk"),
    "long_value": ({**GOOD, "metadata": {"k": "v" * 513}}, "string_above_max_length", "metadata.k"),
    "anchor": (
        {**GOOD, "output_expires_after": {"anchor": "now", "seconds": 3600}},
        "invalid_value",
        "output_expires_after.anchor",
    ),
    "seconds": (
        {**GOOD, "output_expires_after": {"anchor": "created_at", "seconds": 3599}},
        "integer_below_min_value",
        "output_expires_after.seconds",
    ),
}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_the_endpoints_that_claude_answers_are_taken(endpoint):
    request = parse_request(json.dumps({**GOOD, "endpoint": endpoint, "metadata": {"a": "b"}}).encode())
    assert (request.endpoint, request.metadata, request.output_expires_after) == (endpoint, {"a": "b"}, None)


@pytest.mark.parametrize(("body", "code", "param"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(body, code, param):
    with pytest.raises(OpenAIError) as refused:
        parse_request(json.dumps(body).encode())
    error = refused.value
    assert (error.status, error.code) == (400, code)
    assert error.param.startswith(param)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff"])
def test_what_is_no_json_is_said_to_be_none(body):
    with pytest.raises(OpenAIError, match="could not parse"):
        parse_request(body)
