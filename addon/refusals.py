"""Requests that are refused before they become an exchange, by us or by mitmproxy itself, in OpenAI's words."""

import re
from itertools import chain

import structlog
from mitmproxy import http
from mitmproxy.proxy import mode_specs

from addon.connection import refuse_in_head
from addon.exchange import new_request_id
from translators.errors import OpenAIError

__all__ = ["AMBIGUOUS", "is_ambiguous", "make_last_response", "make_mitmproxys_error", "refuse"]

AMBIGUOUS = OpenAIError(
    400, "Invalid HTTP request: its headers can be read in two ways.", headers={"connection": "close"}
)
_CONTROL_CHARACTERS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

log = structlog.get_logger(__name__)


def refuse(flow: http.HTTPFlow, error: OpenAIError) -> None:
    """Answer a flow with an error as soon as its headers are there."""
    request_id = new_request_id()
    headers = {"content-type": "application/json", "x-request-id": request_id, **error.headers}
    # mitmproxy would send the body of an answer to HEAD, which the client takes for the next answer.
    body = b"" if flow.request.method == "HEAD" else error.encode()
    refuse_in_head(flow, http.Response.make(error.status, body, headers))
    path = flow.request.path.partition("?")[0]
    standalone = isinstance(flow.client_conn.proxy_mode, mode_specs.ReverseMode)
    log.info(
        "refused",
        request_id=request_id,
        status=error.status,
        code=error.code,
        method=flow.request.method[:16],
        host=None if standalone else flow.request.host[:200],
        path=path[:200],
    )


def is_ambiguous(request: http.Request) -> bool:
    """Whether others may read the headers otherwise: two hosts, control characters, a value that goes on in a line.

    RFC 9112, 3.2 and 5.2, and RFC 9110, 5.5 want them refused. HTTP/2 has none of them.
    """
    fields = request.headers.fields
    return _CONTROL_CHARACTERS.search(b"\t".join(chain.from_iterable(fields))) is not None or (
        [name.lower() for name, _ in fields].count(b"host") > 1
    )


def make_last_response(error: OpenAIError) -> http.Response:
    """Make a response after which an HTTP/1 connection ends."""
    headers = {"content-type": "application/json", "connection": "close"}
    return http.Response.make(error.status, error.encode(), headers)


def make_mitmproxys_error(status: int, message: str) -> http.Response:
    """Make a response to what mitmproxy itself refuses or cannot reach."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return make_last_response(OpenAIError(status, message, kind))
