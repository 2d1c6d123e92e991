"""Claude's own API on the same port: requests of Anthropic's clients go to Claude as they are, with our key.

What comes back goes on byte for byte, errors included, so that an Anthropic SDK cannot tell the difference. Only the
counts of its events are read on the way, for the log; and the URL at which a batch says that its results are is made
relative, because the client has no key for Claude's own address.
"""

import contextlib
import re
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import msgspec

from addon.access.access import Client
from addon.claude.errors import UNREADABLE
from addon.endpoints.workspace import WorkspaceShare, share_of
from addon.endpoints.workspace_lists import list_own
from addon.exchanges.exchange import Exchange
from addon.observation.figures import Figures
from addon.routing import normalise_path
from addon.wire.forwarding import forwarded_headers, forwarded_target, returned_headers
from addon.wire.header_fields import folded
from translators.claude_events import Event, MalformedEventError, Usage, parse_event
from translators.content_blocks import ContentBlockBuilder
from translators.errors import OpenAIError
from translators.sse import EventTooLargeError, SseParser
from translators.usage import estimate_output, override_usage

__all__ = ["answer_anthropic", "encode_anthropic_error"]

_BATCHES = re.compile(r"/v1/messages/batches(/[^/]+(/cancel)?)?")
_CANCEL = re.compile(r"/v1/messages/batches/[^/]+/cancel")
_RESULTS_URL = re.compile(rb'("results_url"\s*:\s*")https?://[^"]*(/v1/messages/batches/[^/"]+/results")')
_KINDS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


async def answer_anthropic(exchange: Exchange) -> None:
    """Forward one request.

    Raises:
        OpenAIError: Claude is out of reach, or its answer broke off.
    """
    if not exchange.gateway.catalog.first_party:
        raise OpenAIError(404, "This proxy has no key for Claude's own API.")
    request, figures = exchange.flow.request, exchange.figures
    share = share_of(exchange)
    if share is not None:
        await share.check()
    # What was judged is what is sent, however it was spelled.
    path, (_, question_mark, query) = _path_of(exchange), request.path.partition("?")
    asked = _Asked()
    if request.method == "POST":
        with contextlib.suppress(*UNREADABLE, OpenAIError):  # Claude says what is wrong with it
            asked = msgspec.json.decode(exchange.decoded_body(), type=_Asked)
        _require_models(exchange.client, asked, path)
    figures.model = figures.claude_model = asked.model
    figures.stream = asked.stream
    headers = folded(forwarded_headers(request))
    key = exchange.client.claude_key
    forward = exchange.gateway.claude.forward
    with figures.asking():
        if share is None or share.does != "list":
            target = forwarded_target(path + question_mark + query)
            response = await forward(request.method, target, exchange.body, headers, key)
            await _send_on(exchange, response, share)
            return

        async def ask(query: str) -> httpx2.Response:
            page = await forward("GET", f"{path}?{query}", b"", headers, key)
            try:
                await _read(page)
            finally:
                await page.aclose()
            return page

        response, listed = await list_own(share, request.query, ask)
        await _send_on(exchange, response, share, listed)


async def _send_on(
    exchange: Exchange, response: httpx2.Response, share: WorkspaceShare | None, body: bytes | None = None
) -> None:
    """Send an answer on, with another body if one is given."""
    figures = exchange.figures
    figures.claude_request_id = response.headers.get("request-id")
    counter = _counter_of(exchange, response)
    try:
        if share is not None and share.does == "make" and response.is_success:
            body = await _read(response)
            await share.note(body)
        elif share is not None and share.does == "delete" and response.is_success:
            await share.forget()
        returned = returned_headers(response.headers.raw)
        chunks = _chunks(response, counter, figures)
        if response.status_code == 200 and _BATCHES.fullmatch(_path_of(exchange)):
            body = await _read(response) if body is None else body
        if body is not None:
            returned = [(name, value) for name, value in returned if name.lower() != b"content-encoding"]
            chunks = _with_own_url(body)
        await exchange.relay(response.status_code, returned, chunks)
    finally:
        if counter is not None:
            exchange.gateway.limits.charge(exchange.client, figures.count(counter.finish(), exchange.gateway.prices))
            if counter.content:
                figures.answers.append(counter.content)
        await response.aclose()


def _path_of(exchange: Exchange) -> str:
    return normalise_path(exchange.flow.request.path.partition("?")[0])


def _counter_of(exchange: Exchange, response: httpx2.Response) -> "_Counter | None":
    """Make what counts, for a message alone: files and the results of batches are as large as they like."""
    if _path_of(exchange) != "/v1/messages":
        return None
    logs_content = exchange.gateway.settings.logging.content != "off"
    return _Counter("text/event-stream" in response.headers.get("content-type", ""), keeps_content=logs_content)


async def _chunks(response: httpx2.Response, counter: "_Counter | None", figures: Figures) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.aiter_raw():
            figures.first_event = figures.first_event or time.perf_counter()
            if counter is not None:
                counter.feed(chunk)
            yield chunk
    except UNREADABLE as error:
        raise OpenAIError(502, "The answer was cut off.", "server_error", "upstream_broken") from error


async def _with_own_url(body: bytes) -> AsyncIterator[bytes]:
    """Make the URLs in a batch, or in a list of them, relative to the base URL that the client has."""
    yield _RESULTS_URL.sub(rb"\g<1>\g<2>", body)


async def _read(response: httpx2.Response) -> bytes:
    try:
        return await response.aread()
    except UNREADABLE as error:
        raise OpenAIError(502, "The answer was cut off.", "server_error", "upstream_broken") from error


class _OfBatch(msgspec.Struct):
    params: "_Asked"


class _Asked(msgspec.Struct):
    """What the log says of a request, and what a key may be held to."""

    model: str | None = None
    stream: bool = False
    requests: list[_OfBatch] = []
    tools: Any = None
    fallbacks: Any = None

    def models(self) -> Iterator[str | None]:
        """Name every model that may be asked: its own, those of advisors, and those that answer where it declines."""
        yield self.model
        advisors = self.tools if isinstance(self.tools, list) else []
        others = self.fallbacks if isinstance(self.fallbacks, list) else []
        for entry in (*advisors, *others):
            if isinstance(entry, dict) and "model" in entry:
                yield entry["model"] if isinstance(entry["model"], str) else None
        if isinstance(self.fallbacks, str):  # Claude's own choice of them
            yield None


def _require_models(client: Client, asked: _Asked, path: str) -> None:
    """Hold a client to the models of its key, in a batch too; what names no model that can be read is refused."""
    if path.startswith("/v1/messages") and not _CANCEL.fullmatch(path):
        for one in [each.params for each in asked.requests] or [asked]:
            for model in one.models():
                client.require_model(model)


class _Whole(msgspec.Struct):
    usage: Usage = Usage()
    content: list[Any] = []


class _Counter:
    """Reads the usage out of what passes by. What it cannot read (compressed, broken, no message) counts nothing."""

    def __init__(self, is_stream: bool, *, keeps_content: bool) -> None:
        self._keeps_content = keeps_content
        self.content: list[Any] = []
        """Claude's blocks, if they are kept."""
        self._parser = SseParser() if is_stream else None
        self._usage = Usage()
        self._is_output_counted = False
        self._written = 0
        self._body = bytearray()
        self._builders: list[ContentBlockBuilder] = []

    def feed(self, chunk: bytes) -> None:
        if self._parser is None:
            self._body += chunk
            return
        try:
            for payload in self._parser.feed(chunk):
                event = parse_event(payload)
                if event is not None:
                    self._count(event)
                    if self._keeps_content:
                        self._keep(event)
        except (MalformedEventError, EventTooLargeError):
            self._parser = SseParser()

    def _count(self, event: Event) -> None:
        self._usage = override_usage(self._usage, event.message.usage if event.message else event.usage)
        if event.usage is not None and event.usage.output_tokens is not None:
            self._is_output_counted = True
        if event.delta is not None:
            delta = event.delta
            self._written += sum(len(piece.encode()) for piece in (delta.text, delta.thinking, delta.partial_json))

    def _keep(self, event: Event) -> None:
        if isinstance(event.content_block, msgspec.Raw):
            self._builders.append(ContentBlockBuilder(event.content_block))
        elif event.delta is not None and event.delta.type and self._builders:
            self._builders[-1].add(event.delta)

    def finish(self) -> Usage:
        if self._parser is None:
            with contextlib.suppress(*UNREADABLE):
                whole = msgspec.json.decode(self._body, type=_Whole)
                self.content = whole.content if self._keeps_content else []
                return whole.usage
        self.content = [block for builder in self._builders if (block := builder.build()) is not None]
        return self._usage if self._is_output_counted else estimate_output(self._usage, self._written)


def encode_anthropic_error(error: OpenAIError) -> bytes:
    """Encode an error of our own as Claude would say it (`anthropic.types.ErrorResponse`)."""
    kind = _KINDS.get(error.status, "invalid_request_error" if error.status < 500 else "api_error")
    return msgspec.json.encode({"type": "error", "error": {"type": kind, "message": error.message}})
