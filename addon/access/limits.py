"""How much clients may ask for: requests and tokens a minute, requests at once, dollars a day; each and in all.

Requests and tokens go by GCRA (a leaky bucket that needs one number), so that a burst may come at once and what is
used comes back evenly. What an answer really cost is charged when it has ended, into debt if need be: a running answer
is never cut. The algorithms are those of throttled-py: `limits` has windows only, without bursts, and its asyncio
Redis wants a client of its own. In memory a look costs 4 µs.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal

import structlog
from mitmproxy.utils import asyncio_utils

from addon.access.access import Client
from addon.access.rate_limiters import (
    BaseRateLimiter,
    MemoryStore,
    RateLimiterRegistry,
    RedisStore,
    StoreUnavailableError,
    per_duration,
)
from addon.access.slots import MemorySlots, Slots
from addon.claude.prices import Bill
from addon.configuration.client_keys import ClientKey
from addon.configuration.client_settings import RateLimitingSettings
from translators.errors import OpenAIError
from translators.rate_limits import (
    LimitKind,
    LimitState,
    encode_limit_headers,
    rate_limit_reached,
    spend_limit_reached,
    too_many_at_once,
)

__all__ = ["Admission", "Limits"]

_MOST_CLIENTS = 100_000
"""Clients whose use is remembered in memory; the longest unseen are forgotten first. One takes 0.3 KB."""
_REDIS_SECONDS = 0.5
"""How long one admission may wait for Redis."""
_PAUSE_SECONDS = 1.0
"""How long Redis is not asked after it failed, so that not every request waits for it."""
_DEBT = 10**15
"""A burst that is never reached: charging must not fail."""
_MICRO = 1_000_000
_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)
_UNAVAILABLE = (StoreUnavailableError, OSError, TimeoutError)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Quotas:
    """What one client may use, or all together. 0 means no limit."""

    requests_per_minute: int
    burst_size: int
    tokens_per_minute: int
    concurrent_requests: int
    dollars_per_day: float


@dataclass
class Admission:
    """A request that was let in."""

    headers: Mapping[str, str]
    """`x-ratelimit-*`, of the limits with the least left."""
    give_back: Callable[[], Coroutine[Any, Any, None]] | None = None
    """Gives the places back that it has taken, if it has taken any."""

    def hand_over(self) -> "Admission":
        """Leave the places to what goes on after the request, which releases them at its own end."""
        handed_over, self.give_back = Admission(self.headers, self.give_back), None
        return handed_over

    def release(self) -> None:
        """Say that the request has ended."""
        if self.give_back is not None:
            giving_back, self.give_back = self.give_back(), None
            asyncio_utils.create_task(giving_back, name="end of a limited request", keep_ref=True)


class Limits:
    """Admits requests, and charges for their answers.

    Args:
        settings: the limits, and what to do without Redis.
        redis_url: where several processes count together; None to count in this process.
    """

    def __init__(self, settings: RateLimitingSettings, redis_url: str | None = None) -> None:
        self.apply(settings)
        self._local = _Counters(MemoryStore(options={"MAX_SIZE": _MOST_CLIENTS}), MemorySlots())
        self._redis: Any = None
        self._shared: _Counters | None = None
        if redis_url is not None:
            import redis.asyncio  # noqa: PLC0415 - 9 MiB, for those who name a Redis
            from redis.exceptions import RedisError  # noqa: PLC0415 - see above

            from addon.access.redis_slots import RedisSlots  # noqa: PLC0415 - see above

            self._redis = redis.asyncio.Redis.from_url(  # its types are of both kinds, to be awaited and not
                redis_url, socket_timeout=_REDIS_SECONDS, socket_connect_timeout=_REDIS_SECONDS
            )
            store = RedisStore()
            store._backend._client = self._redis  # noqa: SLF001 - the package makes clients that nobody can close
            self._shared = _Counters(store, RedisSlots(self._redis), (*_UNAVAILABLE, RedisError))
        self._retry_at = 0.0

    def apply(self, settings: RateLimitingSettings) -> None:
        """Put other limits in force. What was counted stays counted."""
        self._settings = settings
        self._everybodys = Quotas(
            settings.requests_per_minute,
            settings.burst_size or settings.requests_per_minute,
            settings.tokens_per_minute,
            settings.concurrent_requests,
            settings.dollars_per_day,
        )
        together = Quotas(
            settings.total_requests_per_minute,
            settings.total_requests_per_minute,
            settings.total_tokens_per_minute,
            settings.total_concurrent_requests,
            settings.total_dollars_per_day,
        )
        self._all = _Scope("all", "all clients together", together)
        self._of_keys: dict[str, tuple[ClientKey, tuple[_Scope, ...]]] = {}
        """By the id of a client with a key, which may come with other limits when the keys are read again."""

    async def admit(self, client: Client) -> Admission:
        """Count a request, if all limits of its client and of all together let it in.

        Raises:
            OpenAIError: 429 for the first limit that does not; 503 without Redis, if the operator wants that.
        """
        scopes = self._scopes(client)
        if self._shared is not None and time.monotonic() >= self._retry_at:
            try:
                async with asyncio.timeout(_REDIS_SECONDS):
                    return await self._shared.admit(scopes)
            except self._shared.unavailable as error:
                self._retry_at = time.monotonic() + _PAUSE_SECONDS
                log.warning(
                    "limits_not_shared", error=type(error).__name__, redis_failure=self._settings.on_redis_failure
                )
        if self._shared is not None and self._settings.on_redis_failure == "closed":
            message = "The limits of this endpoint cannot be checked at the moment."
            raise OpenAIError(503, message, "server_error", "limits_unavailable", None, {"retry-after": "1"})
        return await self._local.admit(scopes)

    def charge(self, client: Client, bill: Bill) -> None:
        """Charge for an answer, or for as much of it as there was."""
        scopes = self._scopes(client)
        is_limited = any(scope.quotas.tokens_per_minute or scope.quotas.dollars_per_day for scope in scopes)
        if is_limited and (bill.tokens or bill.dollars):
            charging = self._charge(scopes, bill)
            asyncio_utils.create_task(charging, name="charge for an answer", keep_ref=True)

    async def close(self) -> None:
        """Close the connections."""
        if self._shared is not None:
            await self._shared.slots.close()
            await self._redis.aclose()

    async def _charge(self, scopes: "tuple[_Scope, ...]", bill: Bill) -> None:
        if self._shared is not None:
            try:
                async with asyncio.timeout(_REDIS_SECONDS):
                    await self._shared.charge(scopes, bill)
            except self._shared.unavailable as error:
                log.warning("limits_not_shared", error=type(error).__name__)
            else:
                return
        await self._local.charge(scopes, bill)

    def _scopes(self, client: Client) -> "tuple[_Scope, ...]":
        key = client.key
        if key is None:
            return _Scope(client.id, "this client", self._everybodys), self._all
        known = self._of_keys.get(client.id)
        if known is None or known[0] is not key:
            scopes = _Scope(client.id, f"key '{key.name}'", self._quotas_of(key)), self._all
            known = self._of_keys[client.id] = key, scopes
        return known[1]

    def _quotas_of(self, key: ClientKey) -> Quotas:
        settings = self._settings
        requests = _either(key.requests_per_minute, settings.requests_per_minute)
        # A burst of everybody's belongs to everybody's rate.
        burst = key.burst_size or (requests if key.requests_per_minute is not None else settings.burst_size)
        return Quotas(
            requests,
            burst or requests,
            _either(key.tokens_per_minute, settings.tokens_per_minute),
            _either(key.concurrent_requests, settings.concurrent_requests),
            _either(key.dollars_per_day, settings.dollars_per_day),
        )


def _either[Number: float](own: Number | None, everybodys: Number) -> Number:
    return everybodys if own is None else own


@dataclass(frozen=True, slots=True)
class _Scope:
    """For whom something is counted."""

    name: str
    whose: str
    quotas: Quotas


type _Measure = Literal["requests", "tokens", "charge", "dollars"]


class _Counters:
    """Counts in one store.

    Args:
        store: of requests, tokens and dollars.
        slots: of requests at once.
        unavailable: what is raised where the store is out of reach.
    """

    def __init__(self, store: Any, slots: Slots, unavailable: tuple[type[Exception], ...] = _UNAVAILABLE) -> None:
        self._store = store
        self.slots = slots
        self.unavailable = unavailable
        self._limiters: dict[tuple[_Measure, int, int], BaseRateLimiter] = {}

    async def admit(self, scopes: tuple[_Scope, ...]) -> Admission:
        """Look at what is used, then take places, then count the request: what is refused uses up nothing else.

        But for a request that is one too many of all clients together: it counts as its own client's.
        """
        try:
            return await self._admit(scopes)
        except OpenAIError as refusal:
            # Which limit it was is in the text; how the others stand is in the headers all the same.
            raise replace(
                refusal, headers={**encode_limit_headers(await self._look(scopes)), **refusal.headers}
            ) from None

    async def _admit(self, scopes: tuple[_Scope, ...]) -> Admission:
        states: dict[LimitKind, LimitState] = {}
        for scope in scopes:
            await self._require_money(scope)
            await self._require_tokens(scope, states)
        taken: list[str] = []

        async def give_back() -> None:
            # Each by itself: one that is not given back is renewed for as long as the process lives.
            while taken:
                try:
                    async with asyncio.timeout(_REDIS_SECONDS):
                        await self.slots.give_back(taken.pop())
                except self.unavailable as error:
                    log.warning("limits_not_shared", error=type(error).__name__)

        try:
            for scope in scopes:
                if limit := scope.quotas.concurrent_requests:
                    if not await self.slots.take(scope.name, limit):
                        raise too_many_at_once(scope.whose, limit)  # noqa: TRY301 - gives back what was taken before
                    taken.append(scope.name)
            for scope in scopes:
                await self._count_request(scope, states)
        except BaseException:
            await give_back()
            raise
        return Admission(encode_limit_headers(states), give_back if taken else None)

    async def _look(self, scopes: tuple[_Scope, ...]) -> dict[LimitKind, LimitState]:
        """See what is left of all limits a minute, and use up nothing."""
        states: dict[LimitKind, LimitState] = {}
        for scope in scopes:
            if limit := scope.quotas.tokens_per_minute:
                state = await self._limiter("tokens", limit, limit).peek(f"tokens:{scope.name}")
                _note(states, "tokens", LimitState(limit, state.remaining, state.reset_after))
            if limit := scope.quotas.requests_per_minute:
                burst = scope.quotas.burst_size
                state = await self._limiter("requests", limit, burst).peek(f"requests:{scope.name}")
                _note(states, "requests", LimitState(burst, state.remaining, state.reset_after))
        return states

    async def charge(self, scopes: tuple[_Scope, ...], bill: Bill) -> None:
        """Charge for an answer."""
        for scope in scopes:
            if bill.tokens and (limit := scope.quotas.tokens_per_minute):
                # The same bucket as that which admits: it goes by the rate and the name, not by the burst.
                await self._limiter("charge", limit, _DEBT).limit(f"tokens:{scope.name}", bill.tokens)
            if bill.dollars and (budget := scope.quotas.dollars_per_day):
                limiter = self._limiter("dollars", _micro(budget), _micro(budget))
                await limiter.limit(f"dollars:{scope.name}", round(bill.dollars * _MICRO))

    async def _require_money(self, scope: _Scope) -> None:
        if budget := scope.quotas.dollars_per_day:
            state = await self._limiter("dollars", _micro(budget), _micro(budget)).peek(f"dollars:{scope.name}")
            if state.remaining <= 0:
                raise spend_limit_reached(scope.whose, budget, state.reset_after)

    async def _require_tokens(self, scope: _Scope, states: dict[LimitKind, LimitState]) -> None:
        if limit := scope.quotas.tokens_per_minute:
            state = await self._limiter("tokens", limit, limit).peek(f"tokens:{scope.name}")
            _note(states, "tokens", LimitState(limit, state.remaining, state.reset_after))
            if state.remaining < 1:
                # The time that is told ends where nothing is owed, one token before there is one.
                raise rate_limit_reached("tokens", scope.whose, states, limit, state.retry_after + 60 / limit)

    async def _count_request(self, scope: _Scope, states: dict[LimitKind, LimitState]) -> None:
        if limit := scope.quotas.requests_per_minute:
            burst = scope.quotas.burst_size
            result = await self._limiter("requests", limit, burst).limit(f"requests:{scope.name}", 1)
            state = result.state
            _note(states, "requests", LimitState(burst, state.remaining, state.reset_after))
            if result.limited:
                raise rate_limit_reached("requests", scope.whose, states, limit, state.retry_after)

    def _limiter(self, measure: _Measure, limit: int, burst: int) -> BaseRateLimiter:
        name = measure, limit, burst
        limiter = self._limiters.get(name)
        if limiter is None:
            period, algorithm = (_DAY, "fixed_window") if measure == "dollars" else (_MINUTE, "gcra")
            kind = RateLimiterRegistry.get(algorithm)
            limiter = kind(per_duration(period, limit, burst), self._store, key_prefix="claude-proxy:limits")
            self._limiters[name] = limiter
        return limiter


def _note(states: dict[LimitKind, LimitState], kind: LimitKind, state: LimitState) -> None:
    """Keep the limit with the least left, which is the one that a client has to know."""
    if kind not in states or state.remaining < states[kind].remaining:
        states[kind] = state


def _micro(dollars: float) -> int:
    return max(1, round(dollars * _MICRO))
