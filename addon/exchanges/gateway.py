"""What lives as long as the process: settings, the connections to Claude, the models, the kept thinking, the store."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, Protocol

import structlog

from addon.access.access import Access
from addon.access.limits import Limits
from addon.claude.backends import ClaudeBackends
from addon.claude.client import ClaudeClient
from addon.claude.failure_cause import cause_of
from addon.claude.file_copies import FileCopies
from addon.claude.prices import Prices
from addon.claude.response_cache import ResponseCache
from addon.claude.shared_thinking import SharedThinking
from addon.claude.thinking_memory import ThinkingMemory
from addon.configuration.settings import Settings
from addon.exchanges.other_backends import OtherBackends
from addon.observation.exporter import MetricsServer
from addon.observation.metrics import Metrics
from addon.observation.tracing import Tracing, open_tracing
from addon.storage.state_folder import open_store, read_secret
from addon.storage.store import Store
from translators.backends import ANTHROPIC, parse_target
from translators.model_catalog import SUCCESSORS, ModelCatalog

__all__ = ["BackgroundWork", "Gateway", "open_gateway"]

_MODELS_TIMEOUT_SECONDS = 10.0
"""How long the start may wait for Claude's list of models before it goes on with the built-in table."""

_LAST_WORDS_SECONDS = 3.0
"""How long streams that are cut may take to be told and ended: hundreds at once, or clients that read slowly."""

log = structlog.get_logger(__name__)


class BackgroundWork(Protocol):
    """What is made apart from any client, as far as the end of the process has to do with it."""

    async def finished(self) -> None:
        """Wait until it has ended."""

    async def stop(self) -> None:
        """Give it up, and wait until that is noted."""


@dataclass
class Gateway:
    """The long-lived parts that every exchange uses."""

    settings: Settings
    access: Access
    limits: Limits
    claude: ClaudeClient
    """Claude's own API."""
    backends: ClaudeBackends
    """Every place where Claude answers, that API among them."""
    catalog: ModelCatalog
    memory: ThinkingMemory
    shared_thinking: SharedThinking | None
    """The same beyond this process; None where this process answers alone."""
    store: Store
    secret: Callable[[], bytes]
    """Gives the secret that seals `encrypted_content`. It is read at its first use."""
    metrics: Metrics
    prices: Prices
    copies: FileCopies
    """Claude's copies of uploaded files."""
    cache: ResponseCache
    other_backends: OtherBackends
    tracing: Tracing | None = None
    """Where spans go; None where nobody wants any."""
    keeps_bodies: bool = False
    """Streamed answers are put together for mitmproxy's views and saved flows."""
    running: set[asyncio.Task[None]] = field(default_factory=set)
    """The task of each exchange that is being answered."""
    background: dict[tuple[str, str], BackgroundWork] = field(default_factory=dict)
    """The responses that are made in the background, by owner and id."""
    batches: dict[tuple[str, str], asyncio.Task[None]] = field(default_factory=dict)
    """The work on each batch that goes on apart from a request, by owner and id."""
    leaving: bool = False
    """The end is announced: `/health/ready` says so, while requests are still answered."""
    draining: bool = False
    """New requests are refused."""
    on_drain: set[Callable[[], None]] = field(default_factory=set)
    """Told when the process begins to end: those that wait for a client."""
    closers: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    def apply(self, settings: Settings) -> None:
        """Put settings in force for the next exchanges: those that `addon.interception.reload` allows differ."""
        before, self.settings = self.settings, settings
        self.access.apply(settings.access, has_own_key=settings.answers_without_claude_key)
        self.limits.apply(settings.rate_limiting)
        claude = settings.claude
        self.claude.use_key(claude)
        self.catalog = ModelCatalog(
            claude.default_model, claude.aliases, self.catalog.models, first_party=settings.has_first_party
        )
        if claude.models != before.claude.models:
            _warn_of_unknown_models(claude.models, self.catalog)

    async def remember_thinking(
        self, owner: str, tool_call_ids: Sequence[str], content: Sequence[dict[str, Any]]
    ) -> None:
        """Keep an answer's blocks under each of its tool calls, wherever the results may come."""
        self.memory.remember(owner, tool_call_ids, content)
        if self.shared_thinking is not None:
            await self.shared_thinking.keep(owner, tool_call_ids, content)

    async def drain(self, seconds: float) -> None:
        """Refuse new exchanges, let the running ones end, and cancel those that take longer than `seconds`."""
        self.draining = True
        for tell in tuple(self.on_drain):
            tell()
        made = [asyncio.ensure_future(response.finished()) for response in self.background.values()]
        if working := {*self.running, *made, *self.batches.values()}:
            log.info("draining", running=len(working), seconds=seconds)
            await asyncio.wait(working, timeout=seconds)
        # First those in the background, so that those who follow one learn how it ends.
        if stopped := [asyncio.ensure_future(response.stop()) for response in self.background.values()]:
            await asyncio.wait(stopped, timeout=5)
        if cut := {*self.running, *self.batches.values()}:
            for task in cut:
                task.cancel("the proxy is shutting down")
            await asyncio.wait(cut, timeout=_LAST_WORDS_SECONDS)

    async def close(self) -> None:
        """Close what was opened, the last opened first."""
        for close in reversed(self.closers):
            await close()
        self.closers.clear()


async def open_gateway(settings: Settings, access: Access) -> Gateway:
    """Start all that lives as long as the process: the simulated Claude if asked for, the pool, the table of models."""
    base_url = None
    closers: list[Callable[[], Awaitable[None]]] = []
    if settings.claude.simulate:
        from addon.simulated_claude.server import start  # noqa: PLC0415 - a web server, for those without a key

        simulation = await start()
        closers.append(simulation.close)
        base_url = simulation.base_url
        log.warning("simulated", detail="answers come from the embedded simulated Claude, not from Anthropic")
    metrics = Metrics()
    closers.append(metrics.watch_event_loop().stop)
    if settings.metrics.port is not None:
        closers.append(_show_metrics(metrics, settings.metrics.port))
    claude = ClaudeClient(settings, base_url, metrics)
    closers.append(claude.close)
    backends = ClaudeBackends(settings, claude, metrics)
    closers.append(backends.close)
    tracing = open_tracing() if settings.tracing.enabled else None
    if tracing is not None:
        closers.append(tracing.close)
    others = OtherBackends(settings.other_backends, settings.claude.connect_timeout)
    closers.append(others.close)
    store = open_store(settings.store)
    closers.append(store.close)
    shared = settings.rate_limiting.redis_url or settings.store.redis_url
    limits = Limits(settings.rate_limiting, shared.get_secret_value() if shared else None)
    closers.append(limits.close)
    first_party = settings.has_first_party
    catalog = ModelCatalog(settings.claude.default_model, settings.claude.aliases, first_party=first_party)
    if first_party:
        catalog = await _updated(catalog, claude)
    _warn_of_unknown_models(settings.claude.models, catalog)
    thinking = settings.thinking
    memory = ThinkingMemory(thinking.memory_size, thinking.memory_ttl)
    secret = cache(lambda: read_secret(settings.store))
    is_one_of_many = settings.server.workers > 1 or settings.store.redis_url is not None
    shares = is_one_of_many and thinking.memory_size > 0
    return Gateway(
        settings,
        access,
        limits,
        claude,
        backends,
        catalog,
        memory,
        SharedThinking(memory, store, secret, thinking.memory_ttl) if shares else None,
        store,
        secret,
        metrics,
        Prices(catalog.models),
        FileCopies(claude.files, settings.store.seconds_to_live, settings.claude.upload_files),
        ResponseCache(settings.cache, store),
        others,
        tracing,
        closers=closers,
    )


def _show_metrics(metrics: Metrics, port: int) -> Callable[[], Awaitable[None]]:
    try:
        server = MetricsServer("127.0.0.1", port, metrics.registry)
    except OSError as error:
        log.error("metrics_not_shown", port=port, error=error.strerror)  # noqa: TRY400 - a sentence for the operator
        return _nothing
    log.info("metrics_shown", url=f"http://127.0.0.1:{server.port}/metrics")
    return partial(asyncio.to_thread, server.close)


async def _nothing() -> None:
    """Close nothing."""


async def _updated(catalog: ModelCatalog, claude: ClaudeClient) -> ModelCatalog:
    try:
        async with asyncio.timeout(_MODELS_TIMEOUT_SECONDS):
            return catalog.updated(await claude.models())
    except Exception as error:  # noqa: BLE001 - whatever the list is like, the start goes on without it
        # A wrong key or a missing network is the first request's to report; an offline start is no error.
        log.warning(
            "models_unlisted",
            detail="using the built-in table of models",
            error=cause_of(error) or type(error).__name__,
        )
        return catalog


def _warn_of_unknown_models(models: Iterable[str], catalog: ModelCatalog) -> None:
    """Say which models of the settings neither Claude's list nor the built-in table has, if there are any.

    It is no error: the list may not have been there, and Claude may have newer models than the table.
    """
    targets = map(parse_target, dict.fromkeys(models))
    named = [target.model for target in targets if target.backend == ANTHROPIC]
    if unknown := [name for name in named if name not in catalog.models and name not in SUCCESSORS]:
        detail = "no known model has this name: if Claude has none either, requests for it get 404"
        log.warning("models_unknown", models=unknown, detail=detail)
