"""The lines of output and error files, in the form of https://developers.openai.com/api/docs/guides/batch."""

import json

import pytest

from translators.batches.output_lines import LineIds, encode_answer, encode_refusal, encode_unexecuted, file_id_of
from translators.errors import OpenAIError

IDS = LineIds("batch_1", 3)


def test_an_answer_is_a_response_with_status_200():
    line = encode_answer(IDS, 'a "custom" id', b'{"id":"chatcmpl-1","x":1.0}')
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert b'"body":{"id":"chatcmpl-1","x":1.0}' in line
    assert json.loads(line) == {
        "id": IDS.line_id,
        "custom_id": 'a "custom" id',
        "response": {"status_code": 200, "request_id": IDS.request_id, "body": {"id": "chatcmpl-1", "x": 1.0}},
        "error": None,
    }


def test_a_refusal_is_a_response_with_openais_error():
    line = json.loads(encode_refusal(IDS, "a", OpenAIError(404, "No.", code="model_not_found", param="model")))
    assert line["error"] is None
    assert line["response"]["status_code"] == 404
    error = {"message": "No.", "type": "invalid_request_error", "param": "model", "code": "model_not_found"}
    assert line["response"]["body"] == {"error": error}


@pytest.mark.parametrize("code", ["batch_expired", "batch_cancelled"])
def test_what_was_not_executed_has_an_error_and_no_response(code):
    line = json.loads(encode_unexecuted(IDS, "a", code))
    assert line["response"] is None
    assert line["error"]["code"] == code
    assert line["error"]["message"]


def test_ids_are_the_same_each_time_and_no_two_alike():
    ids = [
        getter(LineIds(batch, number))
        for batch in ("batch_1", "batch_2")
        for number in (1, 2)
        for getter in (lambda i: i.line_id, lambda i: i.request_id, lambda i: i.answer_id("resp_", 50))
    ]
    files = [file_id_of(batch, kind) for batch in ("batch_1", "batch_2") for kind in ("output", "error")]
    assert len({*ids, *files}) == len(ids) + len(files)
    assert LineIds("batch_1", 1).answer_id("resp_", 50) == ids[2]
    assert len(ids[2]) == len("resp_") + 50
    assert all(file_id.startswith("file-") for file_id in files)
