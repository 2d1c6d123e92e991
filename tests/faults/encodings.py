"""The endpoints whose answers are written differently, and how each of them says that an answer failed."""

from dataclasses import dataclass, field
from typing import Any

from tests.faults.http1_client import Received
from tests.integration.raw_upstream import whole_answer

MESSAGES = [{"role": "user", "content": "hi"}]


@dataclass(frozen=True)
class Encoding:
    """One endpoint, asked for a stream or for a whole answer."""

    name: str
    path: str
    stream: bool
    input: dict[str, Any] = field(default_factory=dict)

    @property
    def body(self) -> dict[str, Any]:
        return {"model": "gpt-4o", "stream": self.stream, **self.input}

    def check_error(self, received: Received, status: int, kind: str, code: str | None) -> None:
        """Assert that the answer is one of OpenAI's errors with its status, whole."""
        assert received.is_whole
        assert received.headers["content-type"] == "application/json"
        assert received.headers["x-request-id"].startswith("req_")
        error = received.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert (received.status, error["type"], error["code"]) == (status, kind, code)

    def check_failed_stream(self, received: Received, kind: str, code: str) -> None:
        """Assert that a stream had begun and ended in the endpoint's form of an error, with no sign of success."""
        assert (received.status, received.is_whole) == (200, True)
        assert b"Once upon" in received.body
        assert b"[DONE]" not in received.body
        *before, last = received.payloads()
        if self.path == "/v1/responses":
            *before, told = before
            assert (told["type"], last["type"]) == ("error", "response.failed")
            assert told["error"]["type"] == kind
            assert told["error"]["code"] == last["response"]["error"]["code"] == code
            assert last["response"]["status"] == "failed"
            assert [event["sequence_number"] for event in (*before, told, last)] == list(range(len(before) + 2))
            assert not {event["type"] for event in before} & {"response.completed", "response.incomplete", "error"}
        else:
            assert set(last) == {"error"}
            assert set(last["error"]) == {"message", "type", "param", "code"}
            assert (last["error"]["type"], last["error"]["code"]) == (kind, code)
            assert all(chunk["choices"][0]["finish_reason"] is None for chunk in before)

    def text(self, received: Received) -> str:
        """Read the text of an answer that is whole, and assert that it says so."""
        assert (received.status, received.is_whole) == (200, True), received.body
        if self.path == "/v1/responses":
            answer = received.json() if not self.stream else list(received.payloads())[-1]["response"]
            assert answer["status"] == "completed"
            return "".join(part["text"] for item in answer["output"] for part in item["content"])
        if not self.stream:
            (choice,) = received.json()["choices"]
            assert choice["finish_reason"] == "stop"
            return str(choice["text"] if self.path == "/v1/completions" else choice["message"]["content"])
        assert received.body.endswith(b"data: [DONE]\n\n")
        choices = [choice for chunk in received.payloads() for choice in chunk["choices"]]
        assert [choice["finish_reason"] for choice in choices if choice["finish_reason"]] == ["stop"]
        if self.path == "/v1/completions":
            return "".join(choice["text"] for choice in choices)
        return "".join(choice["delta"].get("content") or "" for choice in choices)


CHAT = {"messages": MESSAGES}
TRANSLATED = [
    Encoding("chat_streamed", "/v1/chat/completions", True, CHAT),
    Encoding("chat_whole", "/v1/chat/completions", False, CHAT),
    Encoding("responses_streamed", "/v1/responses", True, {"input": "hi", "store": False}),
    Encoding("responses_whole", "/v1/responses", False, {"input": "hi", "store": False}),
    Encoding("completions_streamed", "/v1/completions", True, {"prompt": "hi"}),
    Encoding("completions_whole", "/v1/completions", False, {"prompt": "hi"}),
]
FORWARDED = Encoding("messages_forwarded", "/v1/messages", True, {"max_tokens": 9, **CHAT})
"""Claude's own API: what Claude says goes on as it is, and what we say ourselves has Claude's form."""

STREAMED = [encoding for encoding in TRANSLATED if encoding.stream]
WHOLE = [encoding for encoding in TRANSLATED if not encoding.stream]


def name_of(value: object) -> str | None:
    """Name a case of a table."""
    return value.name if isinstance(value, Encoding) else None


GOOD_ANSWER = whole_answer("all is well")
