"""The servers that answer what Claude has no endpoint for: where each is, its connections, and whose key it gets."""

from collections.abc import Mapping

import aiohttp
from yarl import URL

from addon.configuration.other_backend_settings import OtherBackendSettings
from addon.routing import path_without_prefix

__all__ = ["OtherBackend", "OtherBackends"]

_CLIENT_CREDENTIALS = frozenset({b"authorization", b"api-key", b"openai-organization", b"openai-project"})
"""What a backend gets of a client that is to use its own key there. Cookies never go on."""
_MAX_CONNECTIONS = 10_000


class OtherBackend:
    """One of them."""

    def __init__(self, settings: OtherBackendSettings, session: aiohttp.ClientSession) -> None:
        self._settings = settings
        self.session = session

    def url(self, target: str) -> URL:
        """Say where a request's target is at the backend, whose base URL holds its own `/v1`."""
        path, mark, query = target.partition("?")
        return URL(f"{self._settings.base_url}{path_without_prefix(path)}{mark}{query}", encoded=True)

    def credentials(self, client: tuple[tuple[bytes, bytes], ...]) -> list[tuple[str, str]]:
        """Return the headers that say who asks: with the operator's key, with the client's own, or with none."""
        if self._settings.forwards_client_key:
            return [
                (name.decode("latin-1"), value.decode("latin-1"))
                for name, value in client
                if name.lower() in _CLIENT_CREDENTIALS
            ]
        key = self._settings.api_key
        return [("authorization", f"Bearer {key.get_secret_value()}")] if key else []


class OtherBackends:
    """The process's connections to the other backends: one pool for each.

    Args:
        settings: the backends, by pattern of paths.
        connect_timeout: longest wait for a connection, in seconds.
    """

    def __init__(self, settings: Mapping[str, OtherBackendSettings], connect_timeout: float) -> None:
        self._backends = {
            pattern: OtherBackend(backend, _open_session(backend, connect_timeout))
            for pattern, backend in settings.items()
        }

    def find(self, pattern: str) -> OtherBackend:
        """Return the backend of a pattern of the settings."""
        return self._backends[pattern]

    async def close(self) -> None:
        """Close the pools."""
        for backend in self._backends.values():
            await backend.session.close()


def _open_session(settings: OtherBackendSettings, connect_timeout: float) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        # One client's cookies are nothing to the next.
        cookie_jar=aiohttp.DummyCookieJar(),
        connector=aiohttp.TCPConnector(limit=_MAX_CONNECTIONS),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout, sock_read=settings.timeout),
        auto_decompress=False,
        skip_auto_headers=("accept", "accept-encoding", "content-type", "user-agent"),
        trust_env=False,
        proxy=settings.proxy,
    )
