"""The short way sends what the SDK's own way sends."""

import anthropic
import httpx2
import pytest

from addon.claude.sdk import ClaudeSdk

HEADERS = {"accept-encoding": "identity", "anthropic-beta": "some-beta-2026-01-01"}
BODY = b'{"model":"claude-opus-5-5","stream":true}'


class Recorder(httpx2.AsyncBaseTransport):
    """Answers every request with one response or error, and keeps what was sent."""

    def __init__(self, answer: httpx2.Response | Exception) -> None:
        self.sent: list[httpx2.Request] = []
        self._answer = answer

    async def handle_async_request(self, request):
        self.sent.append(request)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def sdk_with(transport: Recorder, **options: object) -> ClaudeSdk:
    options = {"api_key": "sk-ant-test", "base_url": "https://claude.example/base", "max_retries": 0, **options}
    return ClaudeSdk(**options, http_client=httpx2.AsyncClient(transport=transport))


def seen(request: httpx2.Request) -> tuple[object, ...]:
    return request.method, str(request.url), sorted(request.headers.multi_items()), request.content, request.extensions


@pytest.mark.parametrize(
    "options",
    [{}, {"api_key": None, "auth_token": "token"}, {"timeout": httpx2.Timeout(7, connect=3)}],
    ids=["key", "token", "timeout"],
)
async def test_the_short_way_sends_the_same_request_every_time(options):
    recorder = Recorder(httpx2.Response(200, content=b"{}"))
    sdk = sdk_with(recorder, **options)
    await sdk.post("/v1/messages", content=BODY, cast_to=object, options={"headers": HEADERS})
    for _ in range(2):
        await (await sdk.post_bytes("/v1/messages", BODY, HEADERS)).aclose()
    theirs, first, second = map(seen, recorder.sent)
    assert first == theirs
    assert second == theirs


async def test_each_set_of_headers_is_sent_as_given():
    recorder = Recorder(httpx2.Response(200))
    sdk = sdk_with(recorder)
    for version in ("2023-06-01", "2026-10-21"):
        await sdk.post_bytes("/v1/messages", BODY, {"anthropic-version": version})
        await sdk.post_bytes("/v1/messages", b"another", {"anthropic-version": version})
    assert [request.headers["anthropic-version"] for request in recorder.sent] == ["2023-06-01"] * 2 + [
        "2026-10-21"
    ] * 2
    assert [request.headers["content-length"] for request in recorder.sent] == ["41", "7"] * 2


async def test_a_refusal_is_the_sdks_error_with_its_body():
    sdk = sdk_with(Recorder(httpx2.Response(429, json={"type": "error", "error": {"type": "rate_limit_error"}})))
    with pytest.raises(anthropic.RateLimitError) as refused:
        await sdk.post_bytes("/v1/messages", BODY, {})
    assert b"rate_limit_error" in refused.value.response.content


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (httpx2.ReadTimeout("slow"), anthropic.APITimeoutError),
        (httpx2.ConnectError("refused"), anthropic.APIConnectionError),
        (ValueError("what the transport did not translate"), anthropic.APIConnectionError),
    ],
    ids=["timeout", "refused", "untranslated"],
)
async def test_a_failed_call_is_the_sdks_error(failure, expected):
    with pytest.raises(expected):
        await sdk_with(Recorder(failure)).post_bytes("/v1/messages", BODY, {})
