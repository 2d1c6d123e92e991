"""Lists of the batches and files of Claude's workspace, with those of one client alone.

A page is as Claude would make it for a workspace of the client's own: full as long as there are more, because clients
stop at an empty one. Claude lists batches by 1000, of which the client's are taken. It gives files by their ids, so
those that are noted as the client's are asked for; then the list does not grow longer with the files of others.
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import urlencode

import httpx2
import msgspec
from mitmproxy.coretypes.multidict import MultiDictView

from addon.claude.errors import UNREADABLE
from addon.endpoints.workspace import WorkspaceShare
from translators.errors import OpenAIError

__all__ = ["Ask", "list_own"]

type Ask = Callable[[str], Awaitable[httpx2.Response]]
"""Sends a GET with this query to the path of the list, and reads the answer."""

_DEFAULT_LIMIT, _MAX_LIMIT = 20, 1000
_MOST_IDS = 100
"""`anthropic.types.beta.FileListParams.ids`."""
_CURSOR = re.compile(r"page_(?P<made>[0-9]{1,12}\.[0-9]{1,9})_(?P<id>[\w-]{1,200})")


class _Item(msgspec.Struct):
    id: str


class _EncodedPage(msgspec.Struct):
    data: list[msgspec.Raw]
    has_more: bool = False


class _Page(NamedTuple):
    data: list[tuple[str, msgspec.Raw]]
    """Each with its id."""
    has_more: bool


async def list_own(share: WorkspaceShare, query: MultiDictView[str, str], ask: Ask) -> tuple[httpx2.Response, bytes]:
    """Answer a request for a list.

    Returns:
        Claude's last answer, whose status and headers the client gets, and what it gets as the body.

    Raises:
        OpenAIError: 400 for a wrong page; 502, 503: Claude or the store.
    """
    return await (_list_files if share.is_of_files else _list_batches)(share, query, ask)


async def _list_batches(
    share: WorkspaceShare, query: MultiDictView[str, str], ask: Ask
) -> tuple[httpx2.Response, bytes]:
    """`anthropic.types.messages.BatchListParams`. What `before_id` or `after_id` names need not be there any more."""
    limit, rest = _read_limit(query), _others(query, "limit", "before_id", "after_id")
    cursors = [(name, query[name]) for name in ("before_id", "after_id") if name in query]
    is_backwards = "before_id" in query
    own: list[tuple[str, msgspec.Raw]] = []
    while True:
        response = await ask(_encode([*rest, *cursors, ("limit", str(_MAX_LIMIT))]))
        if not response.is_success:
            return response, response.content
        page = _read_page(response)
        batches = page.data
        known = await share.owned.known([batch_id for batch_id, _ in batches])
        found = [batch for batch in batches if batch[0] in known]
        own = [*found, *own] if is_backwards else [*own, *found]
        if len(own) > limit or not page.has_more or not batches:
            break
        cursors = [("before_id", batches[0][0])] if is_backwards else [("after_id", batches[-1][0])]
    shown = own[max(0, len(own) - limit) :] if is_backwards else own[:limit]
    return response, msgspec.json.encode(
        {
            "data": [raw for _, raw in shown],
            "has_more": len(own) > limit,
            "first_id": shown[0][0] if shown else None,
            "last_id": shown[-1][0] if shown else None,
        }
    )


async def _list_files(share: WorkspaceShare, query: MultiDictView[str, str], ask: Ask) -> tuple[httpx2.Response, bytes]:
    """`anthropic.types.beta.FileListParams`, newest first. What has expired at Claude is left out by Claude."""
    if query.get_all("ids") or query.get_all("ids[]"):
        return await _list_named_files(share, query, ask)
    limit, after, rest = _read_limit(query), _read_cursor(query), _others(query, "limit", "page")
    files: list[tuple[dict[str, Any], msgspec.Raw]] = []
    has_more = True
    while has_more and len(files) <= limit:
        records, has_more = await share.owned.page(min(_MOST_IDS, limit + 1 - len(files)), "desc", after, _any)
        # A client without files asks too: Claude judges the request, and its headers are those of the answer.
        wanted = [("ids[]", record["id"]) for record in records] or [("limit", "1")]
        response = await ask(_encode([*rest, *wanted]))
        if not response.is_success:
            return response, response.content
        given = dict(_read_page(response).data)
        files += [(record, given[record["id"]]) for record in records if record["id"] in given]
        after = records[-1] if records else None
    last = files[limit - 1][0] if len(files) > limit else None
    next_page = None if last is None else f"page_{last['created_at']!r}_{last['id']}"
    return response, msgspec.json.encode({"data": [raw for _, raw in files[:limit]], "next_page": next_page})


async def _list_named_files(
    share: WorkspaceShare, query: MultiDictView[str, str], ask: Ask
) -> tuple[httpx2.Response, bytes]:
    """With `ids` there is one page, in Claude's order."""
    response = await ask(_encode(query.items(multi=True)))
    if not response.is_success:
        return response, response.content
    files = _read_page(response).data
    known = await share.owned.known([file_id for file_id, _ in files])
    own = [raw for file_id, raw in files if file_id in known]
    return response, msgspec.json.encode({"data": own, "next_page": None})


def _any(_: dict[str, Any]) -> bool:
    return True


def _read_limit(query: MultiDictView[str, str]) -> int:
    text = query.get("limit", str(_DEFAULT_LIMIT))
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= _MAX_LIMIT:
        raise OpenAIError(400, f"limit: Input should be a whole number from 1 to {_MAX_LIMIT}", param="limit")
    return int(text)


def _read_cursor(query: MultiDictView[str, str]) -> dict[str, Any] | None:
    """Read where a page begins: after the file that a cursor of ours names, which may be gone."""
    if not query.get("page"):
        return None
    found = _CURSOR.fullmatch(query["page"])
    if found is None:
        raise OpenAIError(400, "page: Input should be the `next_page` of a list", param="page")
    return {"id": found["id"], "created_at": float(found["made"])}


def _others(query: MultiDictView[str, str], *but: str) -> list[tuple[str, str]]:
    return [(name, value) for name, value in query.items(multi=True) if name not in but]


def _encode(query: Iterable[tuple[str, str]]) -> str:
    return urlencode(list(query), errors="surrogateescape")  # as mitmproxy decodes it


def _read_page(response: httpx2.Response) -> _Page:
    try:
        page = msgspec.json.decode(response.content, type=_EncodedPage)
        return _Page([(msgspec.json.decode(raw, type=_Item).id, raw) for raw in page.data], page.has_more)
    except UNREADABLE as error:
        message = "Claude answered with something that is not a list."
        raise OpenAIError(502, message, "server_error", "upstream_broken") from error
