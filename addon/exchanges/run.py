"""The course of one exchange: its request received, answered in time or refused, and its end logged and counted."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import structlog

from addon.claude.error_frames import let_frames_go
from addon.exchanges.client_side import ClientSide
from addon.exchanges.exchange import Answer, Exchange
from addon.exchanges.log import log_exchange
from addon.observation.metrics import Ending, Outcome, refusal_reason
from addon.routing import Endpoint
from addon.wire.deadlines import Deadline, call_in_time
from addon.wire.request_stream import RequestStream, too_large
from translators.errors import OpenAIError

__all__ = ["OPEN_ENDPOINTS", "ExchangeRun", "head_too_large"]

log = structlog.get_logger(__name__)

OPEN_ENDPOINTS = frozenset({Endpoint.HEALTH, Endpoint.READY, Endpoint.METRICS})
"""What watches the process: it needs no key, and no limit counts it."""

_ANSWERED_WHILE_DRAINING = frozenset({Endpoint.HEALTH, Endpoint.METRICS})
"""A process that drains is alive, and is watched to its end."""

_TELLING_SECONDS = 10.0
"""How long a client may take to read what went before, to be told of a failure; then its answer is broken off."""

_SHUTTING_DOWN = "shutting_down"
_REFUSALS_OF_A_KEY = frozenset({401, 403, 429})
"""What Claude has against the key that it is asked with: wrong, without a right, used up."""

_ALWAYS_ADMITTED = OPEN_ENDPOINTS | {Endpoint.RESPONSE_CANCEL, Endpoint.RESPONSE_DELETION, Endpoint.BATCH_CANCEL}
"""What ends work is let in too, or a client without a place could not get one back."""

_LIMITED_GETS = frozenset({Endpoint.MODELS, Endpoint.MODEL, Endpoint.ANTHROPIC, Endpoint.RESPONSES})
"""What is read from Claude, and not from the store, and responses on a connection that a GET has opened."""


@dataclass(eq=False, repr=False)  # it holds what nobody may see
class ExchangeRun:
    """Receives a claimed flow's request, has it answered, says what came of it.

    It is an `addon.interception.connection.Receiver`.
    """

    exchange: Exchange
    answer: Answer
    refusal: OpenAIError | None = None
    """Why the request is not answered, if that is known from its headers."""
    restore_destination: Callable[[], None] = lambda: None
    _has_begun: bool = False
    _received: bytearray = field(default_factory=bytearray)
    _refused: bool = False
    _body_deadline: Deadline | None = None
    _task: asyncio.Task[None] | None = None
    _outcome: Outcome = "unanswered"
    _error: OpenAIError | None = None

    # What the connection calls, in the order of addon.interception.connection.Receiver.

    def settle(self) -> None:
        """Show where the client wanted to go: the request has arrived here."""
        self.restore_destination()

    def receive_headers(self, client: ClientSide) -> None:
        """Take the way back to the client; refuse what can be refused by its headers, without its body."""
        exchange = self.exchange
        self._begin(client)
        fields, limits = exchange.flow.request.headers.fields, exchange.gateway.settings.limits
        length = exchange.headers.get("content-length", "")
        if self.refusal is not None:
            self._refuse(self.refusal)
        elif length.isdecimal() and int(length) > limits.max_request_bytes:
            self._refuse(too_large(limits.max_request_bytes))
        elif sum([len(name) + len(value) + 4 for name, value in fields]) > limits.max_header_bytes:
            self._refuse(head_too_large(limits.max_header_bytes))
        elif exchange.claim.endpoint is Endpoint.OTHER_BACKEND:
            exchange.request_stream = RequestStream(limits.max_request_bytes, client.hold)
            self._run(self.answer)
        else:
            self._body_deadline = call_in_time(limits.body_seconds, partial(self._refuse_as_slow, limits.body_seconds))
            exchange.gateway.on_drain.add(self._refuse_while_draining)

    def receive_data(self, data: bytes) -> None:
        """Take a part of the body; refuse the body once it is too large."""
        exchange = self.exchange
        if exchange.upgraded is not None:
            exchange.upgraded.receive_data(data)
            return
        if self._refused:
            return
        if exchange.request_stream is not None:
            exchange.request_stream.feed(data)
            return
        self._received += data
        if len(self._received) > exchange.gateway.settings.limits.max_request_bytes:
            self._refuse(too_large(exchange.gateway.settings.limits.max_request_bytes))

    def receive_end(self) -> None:
        """Answer the request, which is complete."""
        exchange = self.exchange
        self._wait_for_no_more()
        if exchange.request_stream is not None:
            exchange.request_stream.end()
        elif not self._refused:
            exchange.body = bytes(self._received)
            self._received.clear()
            if exchange.gateway.keeps_bodies:
                # Else they would all be kept until mitmproxy's layers, which hold each other, are garbage-collected.
                exchange.flow.request.data.content = exchange.body
            self._run(self.answer)

    def receive_abort(self, reason: str) -> None:
        """Stop all work: the client has left."""
        self._wait_for_no_more()
        if self.exchange.upgraded is not None:
            self.exchange.upgraded.receive_abort()
        elif self._task is None:
            self._note_that_it_left()
            self._finish()
        else:
            self._task.cancel(reason)

    def end_unreceived(self) -> None:
        """Say what came of a request whose connection has ended before anything of it was received."""
        if not self._has_begun:
            self._note_start()
            self._note_that_it_left()
            self._finish()

    def answer_message(self, client: ClientSide, body: bytes) -> None:
        """Answer a request that came whole: as a message of a WebSocket."""
        self._begin(client)
        self.exchange.body = body
        self._run(self.answer)

    def _begin(self, client: ClientSide) -> None:
        self.exchange.client_side = client
        self._note_start()

    def _note_start(self) -> None:
        self._has_begun = True
        self.exchange.gateway.metrics.observe_start(self.exchange.claim.endpoint)

    def _wait_for_no_more(self) -> None:
        if self._body_deadline is not None:
            self._body_deadline.cancel()
            self._body_deadline = None
            self.exchange.gateway.on_drain.discard(self._refuse_while_draining)

    def _refuse_while_draining(self) -> None:
        """Tell a client that is still sending: nothing waits for the rest of its request."""
        self._refuse(_shutting_down(self.exchange))

    def _refuse_as_slow(self, seconds: float) -> None:
        self._refuse(_too_slow(seconds))

    def _refuse(self, error: OpenAIError) -> None:
        # The client's HTTP library reads the answer when it has sent the body: what still comes is read and thrown
        # away.
        self._refused = True
        self._received.clear()
        self._wait_for_no_more()

        async def refuse(_exchange: Exchange) -> None:
            raise error

        self._run(refuse)

    # The task that answers.

    async def finished(self) -> None:
        """Wait until the exchange is over."""
        if self._task:
            await asyncio.wait([self._task])

    def _run(self, answer: Answer) -> None:
        running = self.exchange.gateway.running
        # What `create_task` comes to in mitmproxy's loop, by way of uvloop and of mitmproxy's factory.
        name, loop = f"exchange {self.exchange.request_id}", asyncio.get_running_loop()
        self._task = asyncio.Task(self._answer(answer), loop=loop, name=name, eager_start=True)
        if not self._task.done():
            running.add(self._task)
            self._task.add_done_callback(running.discard)

    async def _answer(self, answer: Answer) -> None:
        exchange = self.exchange
        try:
            refuses = exchange.gateway.draining and exchange.claim.endpoint not in _ANSWERED_WHILE_DRAINING
            await self._answer_in_time(_refuse_draining if refuses else answer)
            # What is sent on as it came may be an error, too.
            status = exchange.status or 200
            self._outcome = "ok" if status < 400 else self._failure(status)
        except OpenAIError as error:
            await self._fail(error)
        except (ConnectionError, asyncio.CancelledError):
            self._note_that_it_left()
            if not exchange.client_side.gone:
                # Not the client has left: the proxy shuts down.
                await self._fail(OpenAIError(503, "The proxy is shutting down.", "server_error", _SHUTTING_DOWN))
        except Exception:
            log.exception("exchange_failed", request_id=exchange.request_id)
            await self._fail(
                OpenAIError(
                    500, f"The proxy had an error while processing your request {exchange.request_id}.", "server_error"
                )
            )
            self._outcome = "internal_error"
        finally:
            exchange.stop_keep_alive()
            if exchange.request_stream is not None:
                exchange.request_stream.close()
            self._finish()
            if exchange.gateway.leaving:
                # The process ends as soon as nothing runs.
                await exchange.client_side.sent()

    async def _answer_in_time(self, answer: Answer) -> None:
        if self.exchange.claim.endpoint is Endpoint.RESPONSES_WEBSOCKET:
            # A connection, and no answer: each of its responses has the time.
            await self._admit_and_answer(answer)
            return
        seconds = self.exchange.gateway.settings.limits.answer_seconds
        try:
            async with asyncio.timeout(None) as timeout:
                deadline = call_in_time(seconds, lambda: timeout.reschedule(0))
                try:
                    await self._admit_and_answer(answer)
                finally:
                    deadline.cancel()
        except TimeoutError as error:
            if not timeout.expired():
                raise
            message = f"The answer took longer than {seconds:g} seconds (setting limits.answer_seconds)."
            raise OpenAIError(504, message, "server_error", "timeout") from error

    async def _admit_and_answer(self, answer: Answer) -> None:
        exchange = self.exchange
        if self._refused or not _is_limited(exchange):
            await answer(exchange)
            return
        exchange.admission = await exchange.gateway.limits.admit(exchange.client)
        try:
            await answer(exchange)
        finally:
            exchange.admission.release()

    async def _fail(self, error: OpenAIError) -> None:
        self._error = error
        self._outcome = "cut" if error.code == _SHUTTING_DOWN else self._failure(error.status)
        try:
            async with asyncio.timeout(_TELLING_SECONDS):
                await self.exchange.tell(error)
        except ConnectionError:
            self._outcome = "client_left"
        except TimeoutError:
            await self.exchange.client_side.abort(error.message)

    def _note_that_it_left(self) -> None:
        refusal, exchange = self.exchange.flow.client_conn.error, self.exchange
        if refusal is None or exchange.status is not None:
            self._outcome = "client_left"
            return
        # The connection has told its client already.
        self._error = OpenAIError(400, refusal)
        exchange.status, self._outcome = self._error.status, "client_error"

    def _failure(self, status: int) -> Outcome:
        return "client_error" if _is_the_clients(status, self.exchange) else "upstream_error"

    # Its end.

    def _finish(self) -> None:
        exchange, figures, metrics = self.exchange, self.exchange.figures, self.exchange.gateway.metrics
        ending = self._ending(time.perf_counter())
        exchange.flow.comment = figures.comment(ending.ended - exchange.started)
        log_exchange(exchange, ending, self._error)
        metrics.observe_end(ending, figures, exchange.gateway.catalog)
        # What Claude was asked for is no refusal of ours, whatever it said.
        if self._error is not None and figures.asked_claude is None and (reason := refusal_reason(self._error)):
            metrics.observe_refusal(reason)
        if self._error is not None:
            let_frames_go(self._error)
            self._error = None

    def _ending(self, ended: float) -> Ending:
        exchange = self.exchange
        return Ending(
            endpoint=exchange.claim.endpoint,
            mode=exchange.flow.client_conn.proxy_mode.type_name,
            outcome=self._outcome,
            status=exchange.status,
            started=exchange.started,
            ended=ended,
            overhead=exchange.figures.overhead(exchange.started),
            has_body=self._task is not None
            and (exchange.request_stream is None or exchange.request_stream.is_complete),
        )


def _is_limited(exchange: Exchange) -> bool:
    # What only reads the store asks for nothing that costs: a response in the background may be polled. On a
    # WebSocket each response counts, and not the GET that opened it.
    endpoint, reads = exchange.claim.endpoint, exchange.flow.request.method in {"GET", "HEAD"}
    return endpoint not in _ALWAYS_ADMITTED and (not reads or endpoint in _LIMITED_GETS)


def _is_the_clients(status: int, exchange: Exchange) -> bool:
    """Whether the client has to do something else about an error, and not the operator or Claude."""
    if status >= 500 or exchange.figures.asked_claude is None:
        return status < 500
    brings_key = exchange.client.claude_key is not None and exchange.client.key is None
    return status not in ({429} if brings_key else _REFUSALS_OF_A_KEY)


def head_too_large(limit: int) -> OpenAIError:
    """Refuse a request's first line and headers."""
    return OpenAIError(
        431,
        f"The request's headers are larger than {limit} bytes (setting limits.max_header_bytes).",
        code="headers_too_large",
    )


def _too_slow(seconds: float) -> OpenAIError:
    return OpenAIError(
        408,
        f"The request body took longer than {seconds:g} seconds (setting limits.body_seconds).",
        code="request_timeout",
    )


async def _refuse_draining(exchange: Exchange) -> None:
    raise _shutting_down(exchange)


def _shutting_down(exchange: Exchange) -> OpenAIError:
    headers = {"retry-after": "1"}
    if exchange.flow.request.http_version.startswith("HTTP/1"):
        # The next try must find another process. HTTP/2 forbids the header.
        headers["connection"] = "close"
    return OpenAIError(503, "The proxy is shutting down. Try again.", "server_error", _SHUTTING_DOWN, None, headers)
