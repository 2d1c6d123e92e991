"""Claude fails before the first byte of its answer: the client gets a plain error with a status, in every encoding."""

import pytest

from tests.faults.claude_faults import NO_ANSWERS, READ_TO_THEIR_END, STATUSES, status_in_responses
from tests.faults.conftest import Client
from tests.faults.encodings import FORWARDED, TRANSLATED, Encoding, name_of
from tests.faults.faulty_claude import FaultyClaude, error_body, refusal, sending
from tests.faults.logged import exchanges_in
from tests.integration.raw_upstream import EVENTS_HEAD, event

pytestmark = pytest.mark.asyncio(loop_scope="module")

HTML = b"<html><body>Bad gateway: sk-ant-secret-key</body></html>"


async def check_the_next_answer(client: Client, encoding: Encoding) -> None:
    """Assert that the same connection is as good as new."""
    assert encoding.text(await client.ask(encoding.path, encoding.body)) == "all is well"


@pytest.mark.parametrize("encoding", TRANSLATED, ids=name_of)
@pytest.mark.parametrize("status", STATUSES)
async def test_each_status_is_an_error_of_openai(
    claude: FaultyClaude, client: Client, status: str, encoding: Encoding
) -> None:
    number, claudes_kind, message, kind, code = STATUSES[status]
    claude.begin(sending(refusal(number, error_body(claudes_kind, message))))
    received = await client.ask(encoding.path, encoding.body)
    told = status_in_responses(number, code) if encoding.path == "/v1/responses" else number
    encoding.check_error(received, told, kind, code)
    assert "retry-after" not in received.headers
    assert len(claude.calls) == 1
    await check_the_next_answer(client, encoding)


@pytest.mark.parametrize("encoding", TRANSLATED, ids=name_of)
@pytest.mark.parametrize("status", [429, 500, 529])
async def test_a_retry_after_goes_on_to_the_client(
    claude: FaultyClaude, client: Client, status: int, encoding: Encoding
) -> None:
    claude.begin(sending(refusal(status, error_body("api_error", "Later"), retry_after="7")))
    received = await client.ask(encoding.path, encoding.body)
    assert received.status == (503 if status == 529 else status)
    assert (received.headers["retry-after"], received.headers["retry-after-ms"]) == ("7", "7000")
    await check_the_next_answer(client, encoding)


@pytest.mark.parametrize("encoding", TRANSLATED, ids=name_of)
async def test_an_overload_says_when_to_come_back_where_claude_does_not(
    claude: FaultyClaude, client: Client, encoding: Encoding
) -> None:
    claude.begin(sending(refusal(529, error_body("overloaded_error", "Overloaded"))))
    received = await client.ask(encoding.path, encoding.body)
    encoding.check_error(received, 503, "server_error", "server_is_overloaded")
    assert received.headers["retry-after"] == "5"
    await check_the_next_answer(client, encoding)


@pytest.mark.parametrize("encoding", TRANSLATED, ids=name_of)
@pytest.mark.parametrize(
    "body",
    [HTML, b"", b"\xff\xfe\x00", b'{"error": "gone"}', b"[" * 3000],
    ids=["html", "empty", "no_text", "other_json", "deep"],
)
@pytest.mark.parametrize("status", [403, 502])
async def test_a_refusal_that_is_not_claudes_keeps_its_status_and_shows_nothing_of_its_body(
    claude: FaultyClaude, client: Client, status: int, body: bytes, encoding: Encoding
) -> None:
    claude.begin(sending(refusal(status, body)))
    received = await client.ask(encoding.path, encoding.body)
    kind, code = ("server_error", "server_error") if status == 502 else ("invalid_request_error", "permission_denied")
    encoding.check_error(received, status, kind, code)
    assert b"sk-ant" not in received.body
    assert b"html" not in received.body
    await check_the_next_answer(client, encoding)


@pytest.mark.parametrize("encoding", TRANSLATED, ids=name_of)
@pytest.mark.parametrize("fault", NO_ANSWERS)
async def test_no_answer_is_an_error_of_openai_and_the_call_is_closed(
    claude: FaultyClaude, client: Client, fault: str, encoding: Encoding, capsys: pytest.CaptureFixture[str]
) -> None:
    script, status, code, cause = NO_ANSWERS[fault]
    claude.begin(script)
    received = await client.ask(encoding.path, encoding.body)
    encoding.check_error(received, status, "server_error", code)
    if fault not in READ_TO_THEIR_END:
        await claude.hung_up()
    await check_the_next_answer(client, encoding)
    failed, *_ = exchanges_in(capsys)
    assert (failed["code"], failed["cause"]) == (code, cause)


@pytest.mark.parametrize("encoding", TRANSLATED, ids=name_of)
@pytest.mark.parametrize(
    ("kind", "status", "openai_kind", "code"),
    [
        ("overloaded_error", 503, "server_error", "server_is_overloaded"),
        ("rate_limit_error", 429, "tokens", "rate_limit_exceeded"),
        ("invalid_request_error", 400, "invalid_request_error", None),
        ("something_new", 500, "server_error", "server_error"),
    ],
)
async def test_an_error_as_the_first_event_is_an_error_with_a_status(
    claude: FaultyClaude,
    client: Client,
    kind: str,
    status: int,
    openai_kind: str,
    code: str | None,
    encoding: Encoding,
) -> None:
    claude.begin(sending(EVENTS_HEAD + event({"type": "error", "error": {"type": kind, "message": "No."}})))
    encoding.check_error(await client.ask(encoding.path, encoding.body), status, openai_kind, code)
    await claude.hung_up()
    await check_the_next_answer(client, encoding)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 413, 429, 500, 502, 503, 504, 529])
@pytest.mark.parametrize(
    "body", [error_body("api_error", "As Claude says it"), HTML, b""], ids=["json", "html", "empty"]
)
async def test_forwarded_refusals_come_through_as_they_are(
    claude: FaultyClaude, forwarding_client: Client, status: int, body: bytes
) -> None:
    claude.begin(sending(refusal(status, body, retry_after="7", request_id="req_claude")))
    received = await forwarding_client.ask(FORWARDED.path, FORWARDED.body)
    assert (received.status, received.body, received.is_whole) == (status, body, True)
    assert (received.headers["retry-after"], received.headers["request-id"]) == ("7", "req_claude")
    assert (await forwarding_client.ask(FORWARDED.path, FORWARDED.body)).is_whole


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        ("reset", 502, "api_error"),
        ("reset_within_the_headers", 502, "api_error"),
        ("no_http", 502, "api_error"),
        ("silence", 504, "timeout_error"),
        ("headers_that_never_end", 504, "timeout_error"),
        ("reset_after_the_headers", 502, "api_error"),
        ("silence_after_the_headers", 502, "api_error"),
    ],
)
async def test_no_forwarded_answer_is_an_error_in_claudes_form_and_the_call_is_closed(
    claude: FaultyClaude, forwarding_client: Client, fault: str, status: int, kind: str
) -> None:
    claude.begin(NO_ANSWERS[fault][0])
    received = await forwarding_client.ask(FORWARDED.path, FORWARDED.body)
    assert (received.status, received.is_whole) == (status, True)
    error = received.json()
    assert (error["type"], error["error"]["type"], set(error["error"])) == ("error", kind, {"type", "message"})
    await claude.hung_up()
    assert (await forwarding_client.ask(FORWARDED.path, FORWARDED.body)).is_whole
