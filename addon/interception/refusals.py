"""How requests are refused that never become an exchange, by us or by mitmproxy itself: in OpenAI's words."""

import structlog
from mitmproxy import http

from addon.exchanges.exchange import new_request_id
from addon.interception.connection import refuse_in_head
from addon.interception.flow_routing import is_standalone
from translators.errors import OpenAIError

__all__ = ["make_last_response", "make_mitmproxys_error", "refuse"]

log = structlog.get_logger(__name__)


def refuse(flow: http.HTTPFlow, error: OpenAIError) -> None:
    """Answer a flow with an error as soon as its headers are there."""
    request_id = new_request_id()
    headers = {"content-type": "application/json", "x-request-id": request_id, **error.headers}
    # mitmproxy would send the body of an answer to HEAD, which the client takes for the next answer.
    body = b"" if flow.request.method == "HEAD" else error.encode()
    refuse_in_head(flow, http.Response.make(error.status, body, headers))
    path = flow.request.path.partition("?")[0]
    log.info(
        "refused",
        request_id=request_id,
        status=error.status,
        code=error.code,
        method=flow.request.method[:16],
        host=None if is_standalone(flow.client_conn) else flow.request.host[:200],
        path=path[:200],
    )


def make_last_response(error: OpenAIError) -> http.Response:
    """Make a response after which an HTTP/1 connection ends."""
    headers = {"content-type": "application/json", "connection": "close"}
    return http.Response.make(error.status, error.encode(), headers)


def make_mitmproxys_error(status: int, message: str) -> http.Response:
    """Make a response to what mitmproxy itself refuses or cannot reach."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return make_last_response(OpenAIError(status, message, kind))
