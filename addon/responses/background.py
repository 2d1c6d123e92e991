"""Responses that are made in the background: apart from any client, followed, polled and cancelled by their id.

The process that makes one gives a sign of life in the store, and looks there whether the response is to be cancelled.
So every process that shares the store can answer for it, and one that died is found out.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import msgspec
import structlog
from mitmproxy.utils import asyncio_utils

from addon.access.access import Client
from addon.access.limits import Admission
from addon.claude.failure_cause import cause_of
from addon.claude.response_cache import CacheUse
from addon.exchanges.exchange import Exchange
from addon.exchanges.gateway import Gateway
from addon.observation.content_logging import content_fields
from addon.observation.figures import Figures
from addon.responses.making import make_response
from addon.responses.request import PreparedResponse
from addon.storage.store import Key, StoreUnavailableError
from translators.errors import OpenAIError
from translators.responses.response import encode_response
from translators.responses.response_events import ResponseCreated, ResponseEvent, encode_event
from translators.responses.response_types import Response

__all__ = ["EVENTS_SECONDS", "LEASE_SECONDS", "BackgroundResponse", "find_made_here", "start_in_background"]

EVENTS_SECONDS = 24 * 3600.0
"""How long the events of a response can be read again: they are many times its size."""
LEASE_SECONDS = 30.0
"""How long after its last sign of life a process is taken for dead."""
_LEASE_RENEWAL_SECONDS = 10.0
_WATCH_SECONDS = 0.5
"""How often events are stored, and the wish to cancel looked for."""
_LINGER_SECONDS = 600.0
"""How long an answer that could not be stored can still be fetched from the process that made it."""

log = structlog.get_logger(__name__)


async def start_in_background(exchange: Exchange, prepared: PreparedResponse) -> None:
    """Begin to make a response, and answer: with the response as it is queued, or with its events as they come.

    Raises:
        OpenAIError: 503 if the store is not there, without which nobody could fetch the response.
    """
    run = BackgroundResponse(
        exchange.gateway,
        exchange.client,
        prepared,
        Figures(model=exchange.figures.model, claude_model=prepared.request.plan.claude_model),
        exchange.admission,
    )
    queued = await run.start()
    if not prepared.request.plan.stream:
        await exchange.respond(encode_response(queued))
        return
    async for events in run.follow(0):
        await exchange.write(events)
    await exchange.end_stream()


def find_made_here(gateway: Gateway, owner: str, response_id: str) -> "BackgroundResponse | None":
    """Find a response that this process makes, or has made and could not store."""
    found = gateway.background.get((owner, response_id))
    return found if isinstance(found, BackgroundResponse) else None


@dataclass(eq=False)
class BackgroundResponse:
    """One response that is being made. Claude is asked for it, as for an exchange."""

    gateway: Gateway
    client: Client
    prepared: PreparedResponse
    figures: Figures
    admission: Admission
    """That of the request; once the response is begun, what is left for it to release."""
    response_headers: dict[str, str] = field(default_factory=dict)
    cache_use: CacheUse = "off"
    events: list[bytes] = field(default_factory=list)
    """All events so far, encoded; the index of each is its sequence number."""
    done: bool = False
    _stored_events: int = 0
    _grown: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None
    _final: Response | None = None
    _error: OpenAIError | None = None
    _is_cancelled: bool = False
    _is_ending: bool = False
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Claude's answer has ended, so that there is nothing more to watch."""
    _started: float = field(default_factory=time.perf_counter)

    @property
    def scope(self) -> str:
        """The client, as what is stored knows it."""
        return self.prepared.owner

    @property
    def response(self) -> Response:
        """The response as of now."""
        return self._final or self.prepared.stream.response

    async def start(self) -> Response:
        """Store the response as queued and begin to make it; return it as it is queued.

        Raises:
            OpenAIError: 503 if the store is not there.
        """
        prepared = self.prepared
        beginning = prepared.stream.start()
        first = beginning[0]
        assert isinstance(first, ResponseCreated)  # noqa: S101 - for the type checker: every stream begins so
        queued = first.response
        await self._renew_lease()
        await prepared.records.save(encode_response(queued), prepared.request.input_items, prepared.named.chain)
        self._add(beginning)
        self.admission = self.admission.hand_over()
        self.gateway.background[prepared.owner, prepared.response_id] = self
        self._task = asyncio_utils.create_task(self._make(), name=f"background {prepared.response_id}", keep_ref=True)
        return queued

    async def follow(self, start: int) -> AsyncIterator[bytes]:
        """Iterate over the events from number `start` on: those that there are together, the others as they come."""
        while True:
            events = self.events[start:]
            if events:
                start += len(events)
                yield b"".join(events)
            elif self.done:
                return
            else:
                await self._grown.wait()

    async def cancel(self) -> None:
        """Cancel the response, and wait until that is done. Nothing if it has ended."""
        self._is_cancelled = self._is_cancelled or not self._is_ending
        await self.stop()

    async def stop(self) -> None:
        """Give up the response because the process ends, and wait until that is noted."""
        self._interrupt()
        await self.finished()

    def _interrupt(self) -> None:
        # Once: what comes then must not be interrupted.
        if self._task is not None and not self._is_ending:
            self._is_ending = True
            self._task.cancel()

    async def finished(self) -> None:
        """Wait until the response has ended."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _make(self) -> None:
        stream = self.prepared.stream
        watch = asyncio_utils.create_task(self._watch(), name="background watch", keep_ref=True)
        try:
            await make_response(self, self.prepared, self._receive)
            ending = stream.finish(int(time.time()))
        except OpenAIError as error:
            self._error = error
            ending = stream.fail(error)
        except asyncio.CancelledError:
            ending = stream.fail(_cancelled() if self._is_cancelled else _shut_down())
        except Exception:
            log.exception("background_response_failed", response_id=self.prepared.response_id)
            ending = stream.fail(OpenAIError(500, "The proxy had an error while making the response.", "server_error"))
        self._is_ending = True
        self._ended.set()
        self.admission.release()  # before anybody can know of the end, and asks for more
        await asyncio.wait([watch])
        self._final = stream.response
        if self._is_cancelled and self._final.status == "failed":
            self._final = msgspec.structs.replace(self._final, status="cancelled", error=None)
        kept = await self.prepared.keep(self._final)
        self._add(ending)
        kept = await self._store_events() and kept
        if kept:
            await self._end_lease()
        self.done = True
        self._wake()
        self._forget(kept=kept)
        self._log()

    async def _receive(self, events: list[ResponseEvent]) -> None:
        self._add(events)

    def _add(self, events: list[ResponseEvent]) -> None:
        self.events += map(encode_event, events)
        self._wake()

    def _wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()

    async def _watch(self) -> None:
        renewed = time.monotonic()
        is_shown_running = False
        while not await self._ends_within(_WATCH_SECONDS):
            try:
                if not is_shown_running:
                    is_shown_running = await self.prepared.records.save_or_report(
                        encode_response(self.response), self.prepared.request.input_items, self.prepared.named.chain
                    )
                if time.monotonic() - renewed >= _LEASE_RENEWAL_SECONDS:
                    renewed = time.monotonic()
                    await self._renew_lease()
                wish = Key("cancel", self.prepared.owner, self.prepared.response_id)
                if await self.gateway.store.load([wish]):
                    self._is_cancelled = self._is_cancelled or not self._is_ending
                    self._interrupt()
                    return
            except StoreUnavailableError as error:
                log.warning("background_response_not_watched", reason=error.reason)
            await self._store_events()

    async def _ends_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._ended.wait()
        except TimeoutError:
            return False

    async def _renew_lease(self) -> None:
        lease = Key("run", self.prepared.owner, self.prepared.response_id)
        await self.gateway.store.save({lease: b""}, LEASE_SECONDS)

    async def _end_lease(self) -> None:
        """Say that nothing more will be stored: those who follow it from another process wait for that."""
        with contextlib.suppress(StoreUnavailableError):  # then it runs out
            await self.gateway.store.delete([Key("run", self.prepared.owner, self.prepared.response_id)])

    async def _store_events(self) -> bool:
        key = Key("events", self.prepared.owner, self.prepared.response_id)
        new = self.events[self._stored_events :]
        try:
            if new:
                await self.gateway.store.append(key, new, EVENTS_SECONDS)
        except StoreUnavailableError as error:
            log.warning("events_not_stored", reason=error.reason)
            return False
        self._stored_events += len(new)
        return True

    def _forget(self, *, kept: bool) -> None:
        name = self.prepared.owner, self.prepared.response_id
        if kept:
            self.gateway.background.pop(name, None)
        else:
            asyncio.get_running_loop().call_later(_LINGER_SECONDS, self.gateway.background.pop, name, None)

    def _log(self) -> None:
        figures = self.figures
        self.gateway.metrics.observe_apart(figures, self.gateway.catalog)
        log.info(
            "background_response",
            response_id=self.prepared.response_id,
            claude_request_id=figures.claude_request_id,
            status=self.response.status,
            code=self._error.code if self._error else None,
            cause=cause_of(self._error),
            model=figures.model,
            claude_model=self.prepared.request.plan.claude_model,
            input_tokens=figures.input_tokens,
            cached_tokens=figures.cached_tokens,
            output_tokens=figures.output_tokens,
            duration=round(time.perf_counter() - self._started, 6),
            retries=figures.retries,
            **content_fields(self.gateway.settings.logging.content, b"", figures.answers),
        )


def _cancelled() -> OpenAIError:
    return OpenAIError(400, "The response was cancelled.", code="response_cancelled")


def _shut_down() -> OpenAIError:
    return OpenAIError(503, "The proxy was shut down while it made the response.", "server_error", "server_error")
