"""Who may use the standalone endpoint, and as whom a request counts: client keys, or a client's own key for Claude.

In the proxy modes an app's `Authorization` is its key for OpenAI, which is nobody's business: there it only tells one
client from another, and who gets in is a matter of `proxyauth` or of `access.proxy_keys`.
"""

import base64
import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import structlog

from addon.configuration.client_keys import (
    ClientKey,
    KeyFileError,
    change_key_file,
    digest_of,
    new_key,
    read_key_file,
    require_unique,
)
from addon.configuration.client_settings import AccessSettings
from addon.configuration.file_watch import FileWatch
from addon.configuration.operation_settings import StoreSettings
from addon.storage.sqlite_store import IN_MEMORY
from addon.storage.state_folder import state_folder
from addon.storage.store import scope_of
from translators.errors import OpenAIError

__all__ = ["Access", "Client", "credentials_of", "key_file_of"]

FIRST_KEY_NAME = "first"
"""The name of the key that a listener beyond loopback makes for itself."""

_LOOK_SECONDS = 1.0
"""How often the key file is looked at, at most: a revoked key is refused that long after."""
_OWN_KEY_PREFIX = "sk-ant-"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Client:
    """Whom a request counts for, and what it may do."""

    id: str
    """What its limits are counted under: the name of its key, else its credentials' hash, else its address."""
    key: ClientKey | None = None
    claude_key: str | None = field(default=None, repr=False)
    """The key for Claude that its calls use, None for the proxy's own. It is never logged nor stored."""

    @property
    def name(self) -> str | None:
        """The name of its key, for the log."""
        return self.key.name if self.key else None

    def require_model(self, model: str | None) -> None:
        """Check that the client may ask for a model.

        Raises:
            OpenAIError: 403, in OpenAI's words for a project that may not.
        """
        if self.key and self.key.models and not any(fnmatchcase(model or "", pattern) for pattern in self.key.models):
            message = f"The key '{self.key.name}' does not have access to model `{model}`."
            raise OpenAIError(403, message, code="model_not_found")


def key_file_of(access: AccessSettings, store: StoreSettings) -> Path:
    """Find the key file: the one that is named, else the one beside the store."""
    if access.key_file is not None:
        return access.key_file
    beside = state_folder() if store.path is None or str(store.path) == IN_MEMORY else store.path.parent
    return beside / "keys.json"


class Access:
    """Tells clients by their keys. The key file is read again when it has changed.

    Args:
        settings: which keys there are, and who needs none.
        key_file: the file with the other keys; there may be none.
        has_own_key: whether the proxy has a key for Claude, for clients without one of their own.

    Raises:
        KeyFileError: the keys cannot be read at the start. Later on those of before stay in force.
    """

    def __init__(
        self,
        settings: AccessSettings,
        key_file: Path,
        *,
        has_own_key: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._key_file = key_file
        self._has_own_key = has_own_key
        self._clock = clock
        self._made: list[ClientKey] = []
        """Keys of this process that no file could take."""
        self._watch = FileWatch(key_file)
        self._looked = clock()
        self._clients = self._read()

    def apply(self, settings: AccessSettings, *, has_own_key: bool = True) -> None:
        """Put other settings in force, unless their keys cannot be used with those of the file."""
        self._has_own_key = has_own_key
        before, self._settings = self._settings, settings
        try:
            self._clients = self._read()
        except KeyFileError as error:
            self._settings = before
            log.warning("keys_not_read", detail=f"{error}: the keys of before stay in force")

    @property
    def has_keys(self) -> bool:
        """Whether there is any key, be it a revoked one: then nobody is let in without."""
        return bool(self._clients)

    def make_first_key(self) -> str | None:
        """Make a key if there is none yet; return it, for the one time that it is shown."""
        key, kept = new_key(FIRST_KEY_NAME)
        made: list[str] = []

        def add(keys: tuple[ClientKey, ...]) -> Sequence[ClientKey] | None:
            if keys:  # of another process that starts at the same time
                return None
            made.append(key)
            return [kept]

        if self.has_keys:
            return None
        try:
            change_key_file(self._key_file, add)
        except KeyFileError as error:
            log.warning("key_not_kept", detail=str(error))
            self._made.append(kept)
            made.append(key)
        self._watch.take_as_seen()
        self._clients = self._read()
        return made[0] if made else None

    def client_of(self, headers: Mapping[str, str], address: str, *, standalone: bool) -> Client:
        """Say whose request it is.

        Args:
            headers: of the request, names in lower case.
            address: of the peer.
            standalone: whether the client means this endpoint, and not a host behind the proxy.

        Raises:
            OpenAIError: 401 for a client without a key, or with a wrong one.
        """
        presented = _presented_keys(headers)
        if self._settings.bring_your_own_key:
            for key in presented:
                if key.startswith(_OWN_KEY_PREFIX):
                    return Client(f"credentials:{scope_of(key)}", claude_key=key)
        if standalone:
            self._look_again()
            for key in presented if self._clients else ():
                if client := self._known(key):
                    return client
            if self._clients and not self._settings.allow_anonymous:
                raise _wrong_key() if presented else _missing_key()
        if not self._has_own_key:
            raise _own_key_wanted()
        return Client(f"credentials:{scope_of(presented[0])}" if presented else f"address:{address}")

    def renewed(self, client: Client) -> Client:
        """Return a client that was let in before as it is now, on a connection that stays open.

        Raises:
            OpenAIError: 401, its key has been revoked since.
        """
        if client.key is None:
            return client
        self._look_again()
        found = self._find(client.key.sha256)
        if found is None:
            raise _wrong_key()
        return found

    def client(self, client_id: str) -> Client:
        """Find a client again by its `Client.id`, for what goes on after its request has ended."""
        return next((client for _, client in self._clients if client.id == client_id), Client(client_id))

    def proxy_client_of(self, headers: Mapping[str, str]) -> Client | None:
        """Say whose connection to the proxy it is, by its `Proxy-Authorization`: the key is the password."""
        scheme, _, encoded = headers.get("proxy-authorization", "").partition(" ")
        key = encoded.strip()
        if scheme.lower() == "basic":
            try:
                key = base64.b64decode(encoded, validate=True).decode().partition(":")[2]
            except ValueError:  # what is no base64, no ASCII or no text
                return None
        self._look_again()
        return self._known(key)

    def _known(self, key: str) -> Client | None:
        return self._find(digest_of(key))

    def _find(self, digest: str) -> Client | None:
        found = None
        for kept, client in self._clients:
            # All of them, each in constant time: how long it takes tells nothing of the keys.
            if hmac.compare_digest(kept, digest) and client.key and client.key.revoked is None:
                found = client
        return found

    def _look_again(self) -> None:
        now = self._clock()
        if now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        if not self._watch.has_changed():
            return
        if not self._watch.is_there:
            log.warning("keys_not_read", detail=f"{self._key_file} is gone: its keys stay in force")
            return
        try:
            self._clients = self._read()
        except KeyFileError as error:
            log.warning("keys_not_read", detail=f"{error}: the keys of before stay in force")
        else:
            log.info("keys_read", keys=len(self._clients))

    def _read(self) -> tuple[tuple[str, Client], ...]:
        keys = [*self._settings.keys, *read_key_file(self._key_file), *self._made]
        require_unique(keys)
        return tuple(
            (key.sha256, Client(f"key:{key.name}", key, key.read_claude_key() if key.revoked is None else None))
            for key in keys
        )


def credentials_of(headers: Mapping[str, str], known: Client | None) -> str | None:
    """Join all that tells a client from others: what it stores is found again by the same alone.

    A key is the same however it is sent. Each part says what it is, so that no header can stand for another part.

    Args:
        headers: of the request, names in lower case.
        known: whose connection to the proxy it is, if that was asked.
    """
    authorization = headers.get("authorization", "").strip()
    parts = [known.id] if known is not None else []
    if authorization and _bearer_key(authorization) is None:
        parts.append(f"Authorization: {authorization}")
    parts += dict.fromkeys(f"Bearer {key}" for key in _presented_keys(headers))
    return " ".join(parts) or None


def _presented_keys(headers: Mapping[str, str]) -> list[str]:
    """Read what the client presents: OpenAI's clients as Bearer, Azure's as `api-key`, Anthropic's as `x-api-key`."""
    sent = [_bearer_key(headers.get("authorization", "").strip())]
    sent += [headers.get(name, "").strip() for name in ("api-key", "x-api-key")]
    return [key for key in sent if key]


def _bearer_key(authorization: str) -> str | None:
    scheme, _, token = authorization.partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _missing_key() -> OpenAIError:
    message = (
        "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
        "(i.e. Authorization: Bearer YOUR_KEY)."
    )
    return OpenAIError(401, message, code="invalid_api_key")


def _wrong_key() -> OpenAIError:
    message = "Incorrect API key provided. This endpoint has keys of its own: ask whoever runs it for one."
    return OpenAIError(401, message, code="invalid_api_key")


def _own_key_wanted() -> OpenAIError:
    return OpenAIError(401, "Provide your own key for Claude (sk-ant-...) as API key.", code="invalid_api_key")
