"""Endpoints that Claude does not have, at the standalone endpoint: forwarded to a server that the operator named.

Bodies pass in pieces both ways, and what comes back goes on byte for byte, errors included.
"""

import time
from collections.abc import AsyncIterator

import aiohttp

from addon.exchanges.exchange import Exchange
from addon.wire.forwarding import forwarded_headers, forwarded_target, returned_headers
from addon.wire.request_stream import RequestStream
from translators.errors import OpenAIError

__all__ = ["answer_from_other_backend"]


async def answer_from_other_backend(exchange: Exchange) -> None:
    """Forward one request while its body still comes.

    Raises:
        OpenAIError: the backend is out of reach, its answer broke off, or the body is too large.
    """
    request, figures, body = exchange.flow.request, exchange.figures, exchange.request_stream
    if body is None or exchange.claim.name is None:
        raise RuntimeError("the body of a request to another backend is streamed")
    if exchange.headers.get("upgrade", "").lower() == "websocket":
        raise OpenAIError(404, f"{request.method} {request.path.partition('?')[0]}: WebSockets are not forwarded.")
    figures.backend = exchange.claim.name
    backend = exchange.gateway.other_backends.find(exchange.claim.name)
    headers = [*forwarded_headers(request), *backend.credentials(exchange.secrets)]
    length = exchange.headers.get("content-length")
    has_body = bool(await body.first())
    if length is not None and (has_body or length == "0"):
        headers.append(("content-length", length))
    try:
        with figures.asking():
            async with backend.session.request(
                request.method,
                backend.url(forwarded_target(request.path)),
                headers=headers,
                data=body.chunks() if has_body else None,
                allow_redirects=False,
            ) as response:
                figures.first_event = time.perf_counter()
                figures.stream = response.content_type == "text/event-stream"
                await exchange.relay(response.status, returned_headers(response.raw_headers), _chunks(response))
    except (aiohttp.ClientError, TimeoutError) as error:
        raise _failure(error, body) from error


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    async for chunk in response.content.iter_any():
        yield chunk


def _failure(error: Exception, body: RequestStream) -> OpenAIError:
    if body.error is not None:
        return body.error
    if isinstance(error, TimeoutError):
        return OpenAIError(504, "The backend of this endpoint did not answer in time.", "server_error", "timeout")
    if isinstance(error, aiohttp.ClientPayloadError):
        return OpenAIError(502, "The answer was cut off.", "server_error", "upstream_broken")
    return OpenAIError(
        502, "The backend of this endpoint could not be reached.", "server_error", "upstream_unreachable"
    )
