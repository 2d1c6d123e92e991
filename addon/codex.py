"""What Codex takes otherwise than OpenAI's own clients do: seen of version 0.169."""

from mitmproxy import http

__all__ = ["is_codex"]


def is_codex(request: http.Request) -> bool:
    """Whether Codex asks. It says so itself: `codex_exec`, `codex_cli_rs` and the like."""
    originator: str = request.headers.get("originator", "")
    return originator.startswith("codex")
