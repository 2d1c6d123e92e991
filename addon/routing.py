"""Which requests are ours, and what becomes of the others, by way in, host, method and path."""

import fnmatch
import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Literal
from urllib.parse import unquote

from translators.errors import OpenAIError

__all__ = ["Claim", "Endpoint", "Pass", "Refuse", "Route", "Router", "normalise_path", "path_without_prefix"]


class Endpoint(Enum):
    """What we answer ourselves. The value is the name in logs and metrics."""

    __hash__ = object.__hash__  # each is one object; Enum hashes their names, in Python

    CHAT_COMPLETIONS = "chat_completions"
    COMPLETIONS = "completions"
    STORED_COMPLETIONS = "stored_completions"
    STORED_COMPLETION = "stored_completion"
    STORED_COMPLETION_UPDATE = "stored_completion_update"
    STORED_COMPLETION_DELETION = "stored_completion_deletion"
    STORED_COMPLETION_MESSAGES = "stored_completion_messages"
    NEW_FILE = "new_file"
    FILES = "files"
    FILE = "file"
    FILE_CONTENT = "file_content"
    FILE_DELETION = "file_deletion"
    NEW_UPLOAD = "new_upload"
    NEW_UPLOAD_PART = "new_upload_part"
    UPLOAD_COMPLETION = "upload_completion"
    UPLOAD_CANCEL = "upload_cancel"
    NEW_BATCH = "new_batch"
    BATCHES = "batches"
    BATCH = "batch"
    BATCH_CANCEL = "batch_cancel"
    MODELS = "models"
    MODEL = "model"
    HEALTH = "health"
    READY = "ready"
    METRICS = "metrics"
    RESPONSES = "responses"
    RESPONSE = "response"
    RESPONSE_DELETION = "response_deletion"
    RESPONSE_CANCEL = "response_cancel"
    RESPONSE_INPUT_ITEMS = "response_input_items"
    RESPONSES_COMPACT = "responses_compact"
    RESPONSES_INPUT_TOKENS = "responses_input_tokens"
    RESPONSES_WEBSOCKET = "responses_websocket"
    NEW_CONVERSATION = "new_conversation"
    CONVERSATION = "conversation"
    CONVERSATION_UPDATE = "conversation_update"
    CONVERSATION_DELETION = "conversation_deletion"
    CONVERSATION_ITEMS = "conversation_items"
    NEW_CONVERSATION_ITEMS = "new_conversation_items"
    CONVERSATION_ITEM = "conversation_item"
    CONVERSATION_ITEM_DELETION = "conversation_item_deletion"
    ANTHROPIC = "anthropic"
    OTHER_BACKEND = "other_backend"


@dataclass(frozen=True, slots=True)
class Claim:
    """The request is ours."""

    endpoint: Endpoint
    name: str | None = None
    """What the path names: the model of `/v1/models/{model}`, the deployment of an Azure path, the response, the
    conversation; for another backend the pattern that the path fits."""
    item: str | None = None
    """The item of the conversation that the path names."""


@dataclass(frozen=True, slots=True)
class Pass:
    """Not ours: it goes to the host that the client meant, untouched."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Ours by its host, and nothing that can be answered or passed on."""

    error: OpenAIError


type Route = Claim | Pass | Refuse

_FORWARDED_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_DOT_SEGMENTS = re.compile(r"(?:[/\\]|%2f|%5c)(?:\.|%2e){1,2}(?:[/\\;]|%2f|%5c|%3b|$)", re.IGNORECASE)
"""Also where a server takes an encoded slash, or a backslash, for a slash, or cuts parameters (`/..;x/`) off."""
_SLASHES = re.compile(r"//+")
_NORMAL = re.compile(r"(?:/[A-Za-z0-9_-]+)+")
"""Paths that have one spelling: most of them."""
_ENCODED_UNRESERVED = re.compile(r"%(?:2[DE]|3\d|[46][1-9A-F]|[57][\dA]|5F|7E)", re.IGNORECASE)
"""Letters, digits and `-._~`, which mean the same encoded (RFC 3986, 6.2.2.2)."""
_PREFIX = r"(?:/openai|/api)?/v1"
"""OpenAI's own prefix, and those of hosts that copied its API (`/openai/v1`: Azure, Groq; `/api/v1`: OpenRouter)."""
_LEADING_PREFIX = re.compile(rf"^{_PREFIX}(?=/)")
_STATE = rf"(?:{_PREFIX}|/openai)"
"""That, and Azure's path from before its `/v1` (`/openai/responses?api-version=...`, `/openai/models?...`)."""
_RESPONSES = r"/responses"
_RESPONSE = r"/responses/(?P<name>[^/]+)"
_CONVERSATION = r"/conversations/(?P<name>[^/]+)"
_ITEM = rf"{_CONVERSATION}/items/(?P<item>[^/]+)"
_COMPLETION = r"/chat/completions/(?P<name>[^/]+)"
_FILE = r"/files/(?P<name>[^/]+)"
_UPLOAD = r"/uploads/(?P<name>[^/]+)"
_BATCH = r"/batches/(?P<name>[^/]+)"

_STATE_ENDPOINTS: tuple[tuple[str, str, Endpoint], ...] = (
    # The first that fits counts.
    ("POST", _RESPONSES, Endpoint.RESPONSES),
    ("GET", _RESPONSES, Endpoint.RESPONSES_WEBSOCKET),
    ("POST", f"{_RESPONSES}/compact", Endpoint.RESPONSES_COMPACT),
    ("POST", f"{_RESPONSES}/input_tokens", Endpoint.RESPONSES_INPUT_TOKENS),
    ("GET", _RESPONSE, Endpoint.RESPONSE),
    ("DELETE", _RESPONSE, Endpoint.RESPONSE_DELETION),
    ("POST", f"{_RESPONSE}/cancel", Endpoint.RESPONSE_CANCEL),
    ("GET", f"{_RESPONSE}/input_items", Endpoint.RESPONSE_INPUT_ITEMS),
    ("POST", "/conversations", Endpoint.NEW_CONVERSATION),
    ("GET", _CONVERSATION, Endpoint.CONVERSATION),
    ("POST", _CONVERSATION, Endpoint.CONVERSATION_UPDATE),
    ("DELETE", _CONVERSATION, Endpoint.CONVERSATION_DELETION),
    ("GET", f"{_CONVERSATION}/items", Endpoint.CONVERSATION_ITEMS),
    ("POST", f"{_CONVERSATION}/items", Endpoint.NEW_CONVERSATION_ITEMS),
    ("GET", _ITEM, Endpoint.CONVERSATION_ITEM),
    ("DELETE", _ITEM, Endpoint.CONVERSATION_ITEM_DELETION),
    ("GET", "/chat/completions", Endpoint.STORED_COMPLETIONS),
    ("GET", _COMPLETION, Endpoint.STORED_COMPLETION),
    ("POST", _COMPLETION, Endpoint.STORED_COMPLETION_UPDATE),
    ("DELETE", _COMPLETION, Endpoint.STORED_COMPLETION_DELETION),
    ("GET", f"{_COMPLETION}/messages", Endpoint.STORED_COMPLETION_MESSAGES),
    ("POST", "/files", Endpoint.NEW_FILE),
    ("GET", "/files", Endpoint.FILES),
    ("GET", _FILE, Endpoint.FILE),
    ("GET", f"{_FILE}/content", Endpoint.FILE_CONTENT),
    ("DELETE", _FILE, Endpoint.FILE_DELETION),
    ("POST", "/uploads", Endpoint.NEW_UPLOAD),
    ("POST", f"{_UPLOAD}/parts", Endpoint.NEW_UPLOAD_PART),
    ("POST", f"{_UPLOAD}/complete", Endpoint.UPLOAD_COMPLETION),
    ("POST", f"{_UPLOAD}/cancel", Endpoint.UPLOAD_CANCEL),
    ("POST", "/batches", Endpoint.NEW_BATCH),
    ("GET", "/batches", Endpoint.BATCHES),
    ("GET", _BATCH, Endpoint.BATCH),
    ("POST", f"{_BATCH}/cancel", Endpoint.BATCH_CANCEL),
)
_ENDPOINTS: tuple[tuple[str, re.Pattern[str], Endpoint], ...] = (
    ("POST", re.compile(rf"{_PREFIX}/chat/completions"), Endpoint.CHAT_COMPLETIONS),
    # https://learn.microsoft.com/azure/ai-services/openai/reference: the deployment stands for the model.
    ("POST", re.compile(r"/openai/deployments/(?P<name>[^/]+)/chat/completions"), Endpoint.CHAT_COMPLETIONS),
    ("POST", re.compile(rf"{_PREFIX}/completions"), Endpoint.COMPLETIONS),
    ("POST", re.compile(r"/openai/deployments/(?P<name>[^/]+)/completions"), Endpoint.COMPLETIONS),
    ("GET", re.compile(rf"{_STATE}/models"), Endpoint.MODELS),
    ("GET", re.compile(rf"{_STATE}/models/(?P<name>.+)"), Endpoint.MODEL),
    *((method, re.compile(_STATE + path), endpoint) for method, path, endpoint in _STATE_ENDPOINTS),
)
_STANDALONE_ONLY: tuple[tuple[str, re.Pattern[str], Endpoint], ...] = (
    # Clients whose base URL lacks the `/v1`.
    ("POST", re.compile(r"/chat/completions"), Endpoint.CHAT_COMPLETIONS),
    ("POST", re.compile(r"/completions"), Endpoint.COMPLETIONS),
    ("GET", re.compile(r"/models"), Endpoint.MODELS),
    ("GET", re.compile(r"/models/(?P<name>.+)"), Endpoint.MODEL),
    ("GET", re.compile(r"/health"), Endpoint.HEALTH),
    ("GET", re.compile(r"/health/ready"), Endpoint.READY),
    ("GET", re.compile(r"/metrics"), Endpoint.METRICS),
    *((method, re.compile(path), endpoint) for method, path, endpoint in _STATE_ENDPOINTS),
)
_ANTHROPIC_METHODS = frozenset({"GET", "POST", "DELETE"})
_ANTHROPIC = re.compile(r"/v1/(messages|models|files)(/.*)?")
"""Claude's own API, standalone: `/v1/models` and `/v1/files` are both's, so Anthropic's clients are known by their
`anthropic-version`."""


def path_without_prefix(path: str) -> str:
    """Return what comes after the `/v1` that a base URL holds; the whole path where there is none."""
    plain = _SLASHES.sub("/", path).rstrip("/")
    return _LEADING_PREFIX.sub("", plain)


class Router:
    """Routes by configuration.

    Args:
        hosts: names or patterns (`*.openai.azure.com`) of the hosts whose requests are ours in proxy modes.
        untranslated: what becomes of a path of such a host that we do not translate, in proxy modes.
        other_paths: patterns of paths (`/v1/audio/*`) that another backend answers, standalone; the first match wins.
    """

    def __init__(
        self, hosts: Iterable[str], untranslated: Literal["pass", "refuse"], other_paths: Iterable[str] = ()
    ) -> None:
        patterns = "|".join(fnmatch.translate(host.lower()) for host in hosts)
        self._hosts = re.compile(patterns or r"(?!)")
        self._untranslated = untranslated
        self._others = [(re.compile(fnmatch.translate(path_without_prefix(path))), path) for path in other_paths]

    def is_ours(self, host: str) -> bool:
        """Say whether the host is one of those whose requests are ours."""
        return self._hosts.match(host.lower().rstrip(".")) is not None

    def route(self, *, standalone: bool, host: str, method: str, path: str, is_anthropic: bool = False) -> Route:
        """Route one request; `path` counts without its query.

        `standalone` (mitmproxy's reverse mode) means that there is no other host: nothing is ever passed on.
        `is_anthropic` means that the request has an `anthropic-version` header.
        """
        # Bytes that are no UTF-8 come as lone surrogates, which neither an error nor a store takes.
        path = path.partition("?")[0].encode("utf-8", "replace").decode()
        if not standalone and not self.is_ours(host):
            return Pass()
        plain = normalise_path(path)
        named = _ANTHROPIC.fullmatch(plain) if standalone and method in _ANTHROPIC_METHODS else None
        if named and (is_anthropic or named[1] == "messages"):
            return Claim(Endpoint.ANTHROPIC)
        endpoints = _ENDPOINTS + (_STANDALONE_ONLY if standalone else ())
        asked = "GET" if method == "HEAD" else method  # RFC 9110, 9.3.2: the same answer without its content
        # A slash in a name is encoded; one between names, by some servers' reading, may be.
        spellings = (plain, normalise_path(unquote(path))) if "%" in path else (plain,)
        for spelling in spellings:
            for claimed_method, pattern, endpoint in endpoints:
                if asked == claimed_method and (match := pattern.fullmatch(spelling)):
                    names = {part: unquote(value) for part, value in match.groupdict().items()}
                    return Claim(endpoint, **names)
        # It is forwarded as it is spelled.
        if standalone and method in _FORWARDED_METHODS and not _DOT_SEGMENTS.search(path):
            rest = path_without_prefix(plain)
            for other, written in self._others:
                if other.match(rest):
                    return Claim(Endpoint.OTHER_BACKEND, written)
        if not standalone and self._untranslated == "pass":
            return Pass()
        allowed = [each for each, pattern, _ in endpoints if any(map(pattern.fullmatch, spellings))]
        return Refuse(_wrong_method(method, path, allowed) if allowed else _unknown_path(method, path, standalone))


def _wrong_method(method: str, path: str, allowed: Iterable[str]) -> OpenAIError:
    named = dict.fromkeys(allowed)
    also = ("HEAD",) if "GET" in named else ()
    return OpenAIError(
        405,
        f"Not allowed to {method} on {path}. (HINT: Perhaps you meant to use a different HTTP method?)",
        code="method_not_supported",
        headers={"allow": ", ".join([*named, *also])},
    )


def _unknown_path(method: str, path: str, standalone: bool) -> OpenAIError:
    more = " and Claude's own messages. The setting `other_backends` sends other paths elsewhere" if standalone else ""
    has_two = path_without_prefix(path).startswith("/v1/")
    hint = " The path has /v1 twice: see the base URL." if has_two else ""
    # The real host's own words for an unknown path, and 404 because clients never retry it.
    return OpenAIError(
        404,
        f"Invalid URL ({method} {path}): this endpoint is not served by Claude Proxy. "
        f"It serves chat completions, completions, responses, conversations, files, uploads, batches, "
        f"models{more}.{hint}",
    )


def normalise_path(path: str) -> str:
    """Write a path the way that it is routed, however it is spelled.

    Base URLs that end with a slash make double ones. A body meant for Claude must not pass to the real host, which
    knows all of this too, because of a spelling.
    """
    if _NORMAL.fullmatch(path):
        return path
    decoded = _ENCODED_UNRESERVED.sub(lambda found: unquote(found[0]), path)
    return posixpath.normpath(_SLASHES.sub("/", decoded)).rstrip("/")
