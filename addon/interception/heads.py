"""What is wrong with the head of a request, whatever it asks for."""

import re
from collections.abc import Mapping
from itertools import chain

from mitmproxy import http

from addon.wire.header_fields import is_same_host
from translators.errors import OpenAIError

__all__ = ["judge_head"]

_AMBIGUOUS = OpenAIError(
    400, "Invalid HTTP request: its headers can be read in two ways.", headers={"connection": "close"}
)
_FOREIGN_PAGE = OpenAIError(
    403,
    "No request of a page of another origin, unless it has a key or is of 'Content-Type: application/json'.",
    code="origin_not_allowed",
)
_TYPES_OF_FORMS = frozenset({"", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})
_KEY_HEADERS = frozenset({"api-key", "authorization", "x-api-key"})
_CONTROL_CHARACTERS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def judge_head(request: http.Request, headers: Mapping[str, str]) -> OpenAIError | None:
    """Say what is wrong with a head, wherever it leads: it can be read in two ways, or a page had no right to send it.

    `headers` are those of the request, with names in lower case.
    """
    if _is_ambiguous(request):
        return _AMBIGUOUS
    return _FOREIGN_PAGE if _is_of_a_foreign_page(request, headers) else None


def _is_ambiguous(request: http.Request) -> bool:
    """Whether others may read the headers otherwise: two hosts, control characters, a value that goes on in a line.

    RFC 9112, 3.2 and 5.2, and RFC 9110, 5.5 want them refused. HTTP/2 has none of them.
    """
    fields = request.headers.fields
    return _CONTROL_CHARACTERS.search(b"\t".join(chain.from_iterable(fields))) is not None or (
        [name.lower() for name, _ in fields].count(b"host") > 1
    )


def _is_of_a_foreign_page(request: http.Request, headers: Mapping[str, str]) -> bool:
    """Whether a page of another origin had a browser send this unasked, as it could have sent a form.

    Browsers only keep the answer from such a page, which would be paid for all the same. For what has another type or a
    header more they ask first, and nobody here allows it: https://fetch.spec.whatwg.org/#http-cors-protocol. So what
    has one comes from an app, though it may have an origin too.
    """
    origin = headers.get("origin")
    if origin is None or request.method != "POST" or _KEY_HEADERS & headers.keys():
        return False
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    is_of_a_page = origin == "null" or origin.lower().startswith(("http://", "https://"))
    return media_type in _TYPES_OF_FORMS and is_of_a_page and not is_same_host(origin, request.host_header or "")
