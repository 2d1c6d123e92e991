"""What one check of `claude-proxy doctor` found."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "failed", "fine", "warned"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, how it is, and what to do about it."""

    check: str
    status: Literal["ok", "warning", "failed"]
    detail: str
    advice: str = ""


def fine(check: str, detail: str) -> Finding:
    """Find nothing wrong."""
    return Finding(check, "ok", detail)


def warned(check: str, detail: str, advice: str) -> Finding:
    """Find what may go wrong."""
    return Finding(check, "warning", detail, advice)


def failed(check: str, detail: str, advice: str) -> Finding:
    """Find what will go wrong."""
    return Finding(check, "failed", detail, advice)
