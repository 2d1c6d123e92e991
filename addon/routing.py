"""Which requests are ours, and what becomes of the others, by way in, host, method and path."""

import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Literal
from urllib.parse import unquote

from translators.errors import OpenAIError

__all__ = ["Claim", "Endpoint", "Pass", "Refuse", "Route", "Router"]


class Endpoint(Enum):
    """What we answer ourselves. The value is the name in logs and metrics."""

    CHAT_COMPLETIONS = "chat_completions"
    MODELS = "models"
    MODEL = "model"
    HEALTH = "health"
    ANTHROPIC = "anthropic"


@dataclass(frozen=True, slots=True)
class Claim:
    """The request is ours."""

    endpoint: Endpoint
    name: str | None = None
    """What the path names: the model of `/v1/models/{model}`, the deployment of an Azure path."""


@dataclass(frozen=True, slots=True)
class Pass:
    """Not ours: it goes to the host that the client meant, untouched."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Ours by its host, and nothing that can be answered or passed on."""

    error: OpenAIError


type Route = Claim | Pass | Refuse

_SLASHES = re.compile(r"//+")
_PREFIX = r"(?:/openai|/api)?/v1"
"""OpenAI's own prefix, and those of hosts that copied its API (`/openai/v1`: Azure, Groq; `/api/v1`: OpenRouter)."""

_ENDPOINTS: tuple[tuple[str, re.Pattern[str], Endpoint], ...] = (
    ("POST", re.compile(rf"{_PREFIX}/chat/completions"), Endpoint.CHAT_COMPLETIONS),
    # https://learn.microsoft.com/azure/ai-services/openai/reference: the deployment stands for the model.
    ("POST", re.compile(r"/openai/deployments/(?P<name>[^/]+)/chat/completions"), Endpoint.CHAT_COMPLETIONS),
    ("GET", re.compile(rf"{_PREFIX}/models"), Endpoint.MODELS),
    ("GET", re.compile(rf"{_PREFIX}/models/(?P<name>.+)"), Endpoint.MODEL),
)
_STANDALONE_ONLY: tuple[tuple[str, re.Pattern[str], Endpoint], ...] = (
    # Clients whose base URL lacks the `/v1`.
    ("POST", re.compile(r"/chat/completions"), Endpoint.CHAT_COMPLETIONS),
    ("GET", re.compile(r"/models"), Endpoint.MODELS),
    ("GET", re.compile(r"/health"), Endpoint.HEALTH),
)
_ANTHROPIC_METHODS = frozenset({"GET", "POST", "DELETE"})
_ANTHROPIC = re.compile(r"/v1/(messages|models)(/.*)?")
"""Claude's own API, standalone: `/v1/models` is both, so Anthropic's clients are known by their `anthropic-version`."""


class Router:
    """Routes by configuration.

    Args:
        hosts: names or patterns (`*.openai.azure.com`) of the hosts whose requests are ours in proxy modes.
        untranslated: what becomes of a path of such a host that we do not translate, in proxy modes.
    """

    def __init__(self, hosts: Iterable[str], untranslated: Literal["pass", "refuse"]) -> None:
        patterns = "|".join(fnmatch.translate(host.lower()) for host in hosts)
        self._hosts = re.compile(patterns or r"(?!)")
        self._untranslated = untranslated

    def is_ours(self, host: str) -> bool:
        """Say whether the host is one of those whose requests are ours."""
        return self._hosts.match(host.lower().rstrip(".")) is not None

    def route(self, *, standalone: bool, host: str, method: str, path: str, is_anthropic: bool = False) -> Route:
        """Route one request; `path` counts without its query.

        `standalone` (mitmproxy's reverse mode) means that there is no other host: nothing is ever passed on.
        `is_anthropic` means that the request has an `anthropic-version` header.
        """
        path = path.partition("?")[0]
        # Base URLs that end with a slash make such paths. A body meant for Claude must not pass because of one.
        plain = _SLASHES.sub("/", path).rstrip("/")
        if not standalone and not self.is_ours(host):
            return Pass()
        named = _ANTHROPIC.fullmatch(plain) if standalone and method in _ANTHROPIC_METHODS else None
        if named and (is_anthropic or named[1] == "messages"):
            return Claim(Endpoint.ANTHROPIC)
        for claimed_method, pattern, endpoint in _ENDPOINTS + (_STANDALONE_ONLY if standalone else ()):
            if method == claimed_method and (match := pattern.fullmatch(plain)):
                name = match.groupdict().get("name")
                return Claim(endpoint, None if name is None else unquote(name))
        if not standalone and self._untranslated == "pass":
            return Pass()
        # The real host's own words for an unknown path, and 404 because clients never retry it.
        return Refuse(
            OpenAIError(
                404,
                f"Invalid URL ({method} {path}): this endpoint is not served by Claude Proxy. "
                "It serves POST /v1/chat/completions and GET /v1/models.",
            )
        )
