"""Claude's web search, as OpenAI's clients ask for it.

Source: https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

__all__ = ["WEB_SEARCH", "build_web_search"]

WEB_SEARCH = "web_search"
"""Claude's name of the tool, which no tool of the client may have beside it."""

_SEARCHES: Mapping[str, int] = {"low": 1, "medium": 5, "high": 10}
"""Web searches for each `search_context_size`."""


def build_web_search(
    search_context_size: Literal["low", "medium", "high"] | None,
    *,
    place: Mapping[str, str | None] | None = None,
    allowed_domains: Sequence[str] = (),
    max_uses: int | None = None,
) -> dict[str, Any]:
    """Build the tool.

    Args:
        search_context_size: how much is to be searched; None: medium.
        place: city, country, region and timezone of the user, so far as they are known.
        allowed_domains: the only sites that may be found; empty: all.
        max_uses: the client's own limit of searches, if it is smaller.
    """
    searches = _SEARCHES[search_context_size or "medium"]
    tool: dict[str, Any] = {
        # The version that every model and backend has; later ones filter results by running code.
        "type": "web_search_20250305",
        "name": WEB_SEARCH,
        "max_uses": searches if max_uses is None else min(searches, max_uses),
    }
    if allowed_domains:
        tool["allowed_domains"] = list(allowed_domains)
    if place is not None:
        tool["user_location"] = {"type": "approximate", **{name: value for name, value in place.items() if value}}
    return tool
