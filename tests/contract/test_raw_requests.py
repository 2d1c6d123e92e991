"""Bodies that no SDK would send, by curl and by a plain HTTP client: broken, mistyped, compressed, too large."""

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import brotli
import pytest
import zstandard

from tests.contract.proxy_process import ProxyProcess, Way
from tests.contract.simulated_upstream import SimulatedUpstream, simulate

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello there"}]}
JSON_TYPE = ("--header", "content-type: application/json")


@pytest.fixture(autouse=True)
def curl_trusts_the_proxy(proxy: ProxyProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CURL_CA_BUNDLE", str(proxy.ca))


def curl_json(way: Way, body: bytes, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = way.curl("/chat/completions", *JSON_TYPE, *arguments, body=body)
    answer, _, status = done.stdout.rpartition(b"\n")
    return int(status), json.loads(answer)


@pytest.mark.parametrize("http", ["--http1.1", "--http2", "--http1.0"])
def test_curl_gets_a_whole_answer(way: Way, http: str) -> None:
    status, answer = curl_json(way, json.dumps(BODY).encode(), http)
    assert status == 200
    assert answer["object"] == "chat.completion"
    assert list(answer["choices"][0]) == ["index", "message", "logprobs", "finish_reason"]


@pytest.mark.parametrize("http", ["--http1.1", "--http2", "--http1.0"])
def test_curl_gets_a_stream(way: Way, http: str) -> None:
    body = {**BODY, "messages": [{"role": "user", "content": simulate(text="Grüße 東京")}], "stream": True}
    done = way.curl("/chat/completions", "--no-buffer", http, *JSON_TYPE, body=json.dumps(body).encode())
    answer, _, status = done.stdout.decode().rpartition("\n")
    assert status == "200"
    *events, end = answer.rstrip("\n").split("\n\n")
    assert end == "data: [DONE]"
    deltas = [json.loads(event.removeprefix("data: "))["choices"][0]["delta"] for event in events]
    assert "".join(delta.get("content", "") for delta in deltas) == "Grüße 東京"


def test_curl_gets_the_models(way: Way) -> None:
    answer, _, status = way.curl("/models").stdout.rpartition(b"\n")
    assert status == b"200"
    assert json.loads(answer)["object"] == "list"


@pytest.mark.parametrize("http", ["--http1.1", "--http2"])
def test_curl_gets_the_head_of_an_answer(way: Way, http: str) -> None:
    head, _, status = way.curl("/models", "--head", http).stdout.rpartition(b"\n")
    assert status == b"200"
    assert b"content-type: application/json" in head.lower()


BROKEN = {
    "no_json": b"{not json",
    "nothing": b"",
    "a_list": b"[]",
    "a_string": b'"hello"',
    "null": b"null",
    "no_utf8": b'{"model": "\xff\xfe", "messages": []}',
    "two_values": b'{"model":"gpt-4o"}{"messages":[]}',
    "too_deep": b'{"model":"gpt-4o","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "cut_off": json.dumps(BODY).encode()[:-1],
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_a_body_that_is_no_json_object_is_a_bad_request(way: Way, claude: SimulatedUpstream, body: bytes) -> None:
    status, answer = curl_json(way, body)
    assert status == 400
    assert answer["error"]["type"] == "invalid_request_error"
    assert answer["error"]["message"]
    assert claude.calls == []


PATHS_OF_JSON = (
    "/chat/completions",
    "/chat/completions/chatcmpl-1",
    "/completions",
    "/responses",
    "/responses/compact",
    "/responses/input_tokens",
    "/conversations",
    "/conversations/conv_1",
    "/conversations/conv_1/items",
    "/uploads",
    "/uploads/upload_1/complete",
    "/batches",
)


@pytest.mark.parametrize("path", PATHS_OF_JSON)
def test_a_body_that_is_no_object_is_called_that_and_not_invalid_json(proxy: ProxyProcess, path: str) -> None:
    found = {}
    with proxy.way("base_url").http() as http:
        for body in ("[]", "3", '"x"', "null", "true", "1.5", "[", '"x'):
            response = http.post(path, content=body)
            found[body] = response.json()["error"]["message"].split(" (HINT")[0]
            assert (response.status_code, response.json()["error"]["type"]) == (400, "invalid_request_error")
    no_json = "We could not parse the JSON body of your request."
    assert found == {
        "[]": "Invalid type: expected an object, but got an array instead.",
        "3": "Invalid type: expected an object, but got an integer instead.",
        '"x"': "Invalid type: expected an object, but got a string instead.",
        "null": "Invalid type: expected an object, but got null instead.",
        "true": "Invalid type: expected an object, but got a boolean instead.",
        "1.5": "Invalid type: expected an object, but got a decimal instead.",
        "[": no_json,
        '"x': no_json,
    }


WRONG: dict[str, tuple[dict[str, Any], str | None, str | None]] = {
    "no_model": ({"messages": BODY["messages"]}, "missing_required_parameter", "model"),
    "no_messages": ({"model": "gpt-4o"}, "missing_required_parameter", "messages"),
    "model_of_wrong_type": ({**BODY, "model": 5}, "invalid_type", "model"),
    "model_null": ({**BODY, "model": None}, None, "model"),
    "messages_of_wrong_type": ({**BODY, "messages": "Hi"}, "invalid_type", "messages"),
    "no_messages_in_it": ({**BODY, "messages": []}, "empty_array", "messages"),
    "stream_of_wrong_type": ({**BODY, "stream": "yes"}, "invalid_type", "stream"),
    "cap_of_wrong_type": ({**BODY, "max_tokens": "many"}, "invalid_type", "max_tokens"),
    "cap_of_zero": ({**BODY, "max_tokens": 0}, "integer_below_min_value", "max_tokens"),
    "stop_of_wrong_type": ({**BODY, "stop": {"a": 1}}, "invalid_type", "stop"),
    "unknown_tool_type": ({**BODY, "tools": [{"type": "teleport"}]}, "invalid_value", "tools[0].type"),
    "tool_without_name": (
        {**BODY, "tools": [{"type": "function", "function": {}}]},
        "missing_required_parameter",
        "tools[0].function.name",
    ),
    "result_without_id": (
        {**BODY, "messages": [*BODY["messages"], {"role": "tool", "content": "x"}]},
        "missing_required_parameter",
        "messages[1].tool_call_id",
    ),
}


@pytest.mark.parametrize(("body", "code", "param"), WRONG.values(), ids=WRONG)
def test_a_field_that_is_wrong_is_named(
    way: Way, claude: SimulatedUpstream, body: dict[str, Any], code: str | None, param: str | None
) -> None:
    with way.http() as http:
        response = http.post("/chat/completions", json=body)
    error = response.json()["error"]
    assert response.status_code == 400, error
    assert error["param"] == param, error
    if code is not None:
        assert error["code"] == code, error
    assert claude.calls == []


def deflate_raw(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
    "gzip, zstd": lambda data: zstandard.compress(gzip.compress(data)),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_E12_a_compressed_body_is_understood(way: Way, claude: SimulatedUpstream, encoding: str) -> None:
    body = ENCODINGS[encoding](json.dumps(BODY).encode())
    with way.http() as http:
        headers = {"content-encoding": encoding, "content-type": "application/json"}
        response = http.post("/chat/completions", content=body, headers=headers)
    assert response.status_code == 200, response.text
    assert claude.last["messages"][0]["content"][0]["text"] == "Hello there"


def test_E12_curl_sends_gzip_too(way: Way) -> None:
    status, answer = curl_json(way, gzip.compress(json.dumps(BODY).encode()), "--header", "content-encoding: gzip")
    assert (status, answer["object"]) == (200, "chat.completion")


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("gzip", b"not gzip", 400),
        ("gzip", gzip.compress(json.dumps(BODY).encode())[:-12], 400),
        ("zstd", b"\x28\xb5\x2f\xfdnot zstd", 400),
        ("compress", b"whatever", 415),
    ],
    ids=["no_gzip", "gzip_cut_off", "no_zstd", "unknown"],
)
def test_E12_a_body_that_is_not_in_its_encoding_is_refused(
    way: Way, claude: SimulatedUpstream, encoding: str, body: bytes, status: int
) -> None:
    with way.http() as http:
        headers = {"content-encoding": encoding, "content-type": "application/json"}
        response = http.post("/chat/completions", content=body, headers=headers)
    assert response.status_code == status
    assert response.json()["error"]["type"] == "invalid_request_error"
    assert claude.calls == []


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "br"])
def test_E12_a_small_body_that_unpacks_to_a_huge_one_is_refused(
    way: Way, claude: SimulatedUpstream, encoding: str
) -> None:
    bomb = ENCODINGS[encoding](b'{"model": "gpt-4o", "messages": "' + b"x" * (40 * 1024 * 1024))
    assert len(bomb) < 100_000
    with way.http() as http:
        response = http.post("/chat/completions", content=bomb, headers={"content-encoding": encoding})
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "request_too_large"
    assert claude.calls == []


def test_a_body_that_is_too_large_is_refused(way: Way, claude: SimulatedUpstream) -> None:
    body = json.dumps({**BODY, "messages": [{"role": "user", "content": "x" * (33 * 1024 * 1024)}]}).encode()
    status, answer = curl_json(way, body)
    assert status == 413
    assert answer["error"]["code"] == "request_too_large"
    assert claude.calls == []


def test_a_large_body_below_the_limit_is_answered(way: Way, claude: SimulatedUpstream) -> None:
    text = "word " * 200_000
    with way.http() as http:
        response = http.post("/chat/completions", json={**BODY, "messages": [{"role": "user", "content": text}]})
    assert response.status_code == 200, response.text
    assert claude.last["messages"][0]["content"][0]["text"] == text


def test_the_body_counts_and_not_what_its_headers_call_it(way: Way) -> None:
    with way.http() as http:
        headers = {"content-type": "text/plain", "accept": "application/xml", "openai-organization": "org-x"}
        response = http.post("/chat/completions?api-version=1", content=json.dumps(BODY), headers=headers)
    assert response.status_code == 200


def test_a_body_in_pieces_without_a_length_is_read_to_its_end(way: Way) -> None:
    encoded = json.dumps(BODY).encode()
    pieces = (encoded[start : start + 7] for start in range(0, len(encoded), 7))
    with way.http() as http:
        response = http.post("/chat/completions", content=pieces)
    assert response.status_code == 200


ODD_JSON: dict[str, tuple[bytes, str | None]] = {
    "byte_order_mark": (b"\xef\xbb\xbf{%s}", "no JSON"),
    "a_byte_of_latin_1": (b'{%s,"user":"\xe9"}', "no JSON"),
    "a_surrogate_as_bytes": (b'{%s,"user":"\xed\xa0\x80"}', "no JSON"),
    "a_lone_surrogate": (b'{%s,"user":"\\ud800"}', "no JSON"),
    "a_lone_surrogate_as_a_key": (b'{%s,"\\ud800":1}', "no JSON"),
    "NaN": (b'{%s,"temperature":NaN}', "no JSON"),
    "-Infinity": (b'{%s,"temperature":-Infinity}', "no JSON"),
    "1e400": (b'{%s,"temperature":1e400}', "Invalid value for 'temperature': Number out of range."),
    "400_digits": (b'{%s,"temperature":' + b"9" * 400 + b"}", "Invalid value for 'temperature': Number out of range."),
    "1e400_unknown": (b'{%s,"made_up":1e400}', None),
    "a_key_twice": (b'{"model":"gpt-9",%s}', None),
    "spaces_around": (b" \r\n\t{%s}\n ", None),
}


@pytest.mark.parametrize(("body", "refusal"), ODD_JSON.values(), ids=ODD_JSON)
@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/chat/completions", json.dumps(BODY)[1:-1]),
        ("/completions", '"model":"gpt-3.5-turbo-instruct","prompt":"Hi"'),
        ("/responses", '"model":"gpt-4o","input":"Hi"'),
    ],
)
def test_odd_json_is_served_or_refused_in_the_same_way_everywhere(
    proxy: ProxyProcess, path: str, fields: str, body: bytes, refusal: str | None
) -> None:
    with proxy.way("base_url").http() as http:
        response = http.post(path, content=body.replace(b"%s", fields.encode()))
    if refusal is None:
        assert response.status_code == 200
        # Of a key that is there twice the last counts.
        assert response.json()["model"] in fields
    else:
        message = response.json()["error"]["message"]
        assert response.status_code == 400
        assert message.startswith("We could not parse the JSON body" if refusal == "no JSON" else refusal)


def test_json_in_utf_16_is_no_json(proxy: ProxyProcess) -> None:
    with proxy.way("base_url").http() as http:
        headers = {"content-type": "application/json; charset=utf-16"}
        response = http.post("/chat/completions", content=json.dumps(BODY).encode("utf-16"), headers=headers)
    assert response.status_code == 400
    assert "could not parse the JSON body" in response.json()["error"]["message"]


@pytest.mark.parametrize("method", ["PATCH", "PUT", "DELETE"])
def test_other_methods_of_a_served_path_are_told_those_that_there_are(proxy: ProxyProcess, method: str) -> None:
    with proxy.way("base_url").http() as http:
        response = http.request(method, "/chat/completions")
    assert (response.status_code, response.headers["allow"]) == (405, "POST, GET, HEAD")
    assert response.json()["error"]["type"] == "invalid_request_error"


def test_health_says_ok(proxy: ProxyProcess) -> None:
    with proxy.way("base_url").http() as http:
        assert http.get(f"{proxy.origin}/health").json() == {"status": "ok", "simulated": False}
