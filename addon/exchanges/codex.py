"""What Codex takes otherwise than OpenAI's own clients do: seen of version 0.169."""

from collections.abc import Mapping

from translators.errors import OpenAIError

__all__ = ["headers_of_error", "is_codex"]


def is_codex(headers: Mapping[str, str]) -> bool:
    """Whether Codex asks. It says so itself: `codex_exec`, `codex_cli_rs` and the like. Names are in lower case."""
    return headers.get("originator", "").startswith("codex")


def headers_of_error(error: OpenAIError, asked: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that go along with an error. `asked` are those of the request.

    A 503 `server_is_overloaded` costs five requests of Codex, which then says that the model is at capacity. With
    `retry-after` it costs thirty.
    """
    headers = dict(error.headers)
    if error.code == "server_is_overloaded" and is_codex(asked):
        headers.pop("retry-after", None)
    return headers
