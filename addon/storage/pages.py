"""Lists as OpenAI pages them: `limit`, `order`, `after`."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from translators.errors import OpenAIError
from translators.request_errors import check_range, invalid_value

__all__ = ["PageQuery", "encode_list", "read_page", "read_page_query"]

_LIMIT = 20
_MAX_LIMIT = 100


class PageQuery(NamedTuple):
    """Which page is asked for."""

    limit: int
    order: Literal["asc", "desc"]
    after: str | None
    """Id of the item before the first."""


def read_page_query(
    query: Mapping[str, str], order: Literal["asc", "desc"] = "desc", limit: int = _LIMIT, most: int = _MAX_LIMIT
) -> PageQuery:
    """Read what a query asks for: `limit` items in this order if it says nothing, and `most` at most.

    Raises:
        OpenAIError: 400 for a wrong parameter.
    """
    limit = _read_limit(query.get("limit"), limit, most)
    after = query.get("after")
    if after is not None:
        after = after.encode("utf-8", "replace").decode()  # a store takes no bytes that are no UTF-8
    match query.get("order", order):
        case "asc":
            return PageQuery(limit, "asc", after)
        case "desc":
            return PageQuery(limit, "desc", after)
        case other:
            raise invalid_value("order", f"'{other}'", ("asc", "desc"))


def read_page(
    items: Sequence[Mapping[str, Any]], query: Mapping[str, str], order: Literal["asc", "desc"] = "desc"
) -> bytes:
    """Encode the page of a list that a query asks for.

    Args:
        items: all of them, the oldest first.
        query: of the request.
        order: oldest or newest first, if the query does not say.

    Raises:
        OpenAIError: 400 for a wrong parameter, or an item that is not in the list.
    """
    limit, order, after = read_page_query(query, order)
    ordered = list(items if order == "asc" else reversed(items))
    if after:
        ids = [item["id"] for item in ordered]
        if after not in ids:
            raise OpenAIError(400, f"Item with id '{after}' not found.", param="after")
        ordered = ordered[ids.index(after) + 1 :]
    return encode_list(ordered[:limit], has_more=len(ordered) > limit)


def encode_list(items: Sequence[Mapping[str, Any]], *, has_more: bool = False) -> bytes:
    """Encode one page."""
    return msgspec.json.encode(
        {
            "object": "list",
            "data": items,
            "first_id": items[0]["id"] if items else None,
            "has_more": has_more,
            "last_id": items[-1]["id"] if items else None,
        }
    )


def _read_limit(given: str | None, usual: int, most: int) -> int:
    if given is None:
        return usual
    try:
        limit = int(given)
    except ValueError as error:
        message = "Invalid type for 'limit': expected an integer, but got a string instead."
        raise OpenAIError(400, message, code="invalid_type", param="limit") from error
    check_range("limit", limit, 1, most)
    return limit
