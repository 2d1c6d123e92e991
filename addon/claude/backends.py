"""Claude in the clouds: the SDK's own client of each backend, behind what `addon.claude.client` needs of one.

Credentials, regions and addresses come from the environment variables that the SDK and the clouds define. What each
backend lacks is in `translators.backends`: a request comes here already as its backend takes it.
"""

import importlib.util
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from addon.claude.client import CallObserver, ClaudeClient, MessagesClient
from addon.claude.event_stream import prime_event_stream
from addon.claude.transport import open_transport, timeout_of
from addon.configuration.claude_settings import ClaudeSettings
from addon.configuration.settings import Settings, SettingsError
from translators.backends import ANTHROPIC, BACKENDS, parse_target
from translators.errors import OpenAIError

if TYPE_CHECKING:
    from addon.claude.backend_sdks import BackendSdkClient

__all__ = ["ClaudeBackends", "check_backends"]

_NEEDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "bedrock": ("botocore", "bedrock"),
        "bedrock-mantle": ("botocore", "bedrock"),
        "aws": ("botocore", "aws"),
        "vertex": ("google.auth", "vertex"),
        "google-cloud": ("google.auth", "google-cloud"),
    }
)
"""The module that signs the requests, and the extra that it comes with."""


class ClaudeBackends:
    """Every backend that the settings name, with a connection pool each.

    Args:
        settings: the models that say which backends there are; timeouts and retries.
        claude: Claude's own API.
        observer: is told what comes of the calls to the others.
    """

    def __init__(self, settings: Settings, claude: ClaudeClient, observer: CallObserver) -> None:
        self._settings = settings.claude
        self._observer = observer
        self._clients: dict[str, MessagesClient] = {ANTHROPIC: claude}
        for name in self._settings.backends:
            self._clients[name] = self._open(name)

    def find(self, backend: str) -> MessagesClient:
        """Return the client of a backend. One that settings name later is opened when it is first asked."""
        if backend not in self._clients:
            self._clients[backend] = self._open(backend)
        return self._clients[backend]

    async def count_tokens(self, params: Mapping[str, Any], headers: Mapping[str, str], key: str | None) -> int:
        """Ask the backend of a request's model how many tokens its input has; `key` is the client's own, if it has one.

        Raises:
            OpenAIError: the backend counts none; else as `MessagesClient.count_tokens`.
        """
        target = parse_target(params["model"])
        backend = BACKENDS[target.backend]
        if not backend.counts_tokens:
            raise OpenAIError(400, f"{backend.title} counts no tokens.", code="unsupported_value", param="model")
        # A client brings a key for Claude's own API, never for a cloud.
        own = key if target.backend == ANTHROPIC else None
        return await self.find(target.backend).count_tokens({**params, "model": target.model}, headers, own)

    def _open(self, backend: str) -> MessagesClient:
        if backend == "bedrock":
            prime_event_stream()
        return MessagesClient(self._settings, _open_sdk(backend, self._settings), self._observer)

    async def close(self) -> None:
        """Close the pools, but for that of Claude's own API."""
        for name, client in self._clients.items():
            if name != ANTHROPIC:
                await client.close()


def check_backends(settings: Settings) -> None:
    """Check that each backend of the settings can be asked: what it needs is installed, and the environment names it.

    Raises:
        SettingsError: one sentence for each that cannot.
    """
    named = settings.claude.backends
    problems = [problem for name in named if (problem := _problem(name, settings.claude)) is not None]
    if named and settings.claude.simulate:
        problems = [f"claude.simulate stands for Claude's own API, and a model is of {named[0]}."]
    if problems:
        raise SettingsError(problems)


def _problem(name: str, claude: ClaudeSettings) -> str | None:
    from addon.claude.backend_sdks import VertexSdk  # noqa: PLC0415 - see `_open_sdk`

    module, extra = _NEEDS.get(name, (None, None))
    if module is not None and not _is_installed(module):
        return f"{BACKENDS[name].title} ({name}:) needs more packages: install claude-proxy[{extra}]."
    try:
        sdk = _open_sdk(name, claude)
    except Exception as error:  # noqa: BLE001 - the SDK's clients raise what comes; their texts name the variable
        return f"{BACKENDS[name].title} ({name}:) cannot be asked: {error}"
    if isinstance(sdk, VertexSdk) and not sdk.project_id:
        return f"{BACKENDS[name].title} ({name}:) cannot be asked: set ANTHROPIC_VERTEX_PROJECT_ID."
    return None


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _open_sdk(name: str, claude: ClaudeSettings) -> "BackendSdkClient":
    from addon.claude.backend_sdks import BACKEND_SDKS  # noqa: PLC0415 - 20 MiB, for those who name a cloud

    return BACKEND_SDKS[name](
        max_retries=0,
        open_telemetry=False,
        timeout=timeout_of(claude),
        http_client=open_transport(claude, proxy=claude.proxy),
    )
