"""What is done where other machines can come in: clients get a key that they are asked for, operators a warning."""

import sys

import structlog
from mitmproxy.options import Options

from addon.access.access import Access
from addon.access.reachability import listens_beyond_loopback, proxies_beyond_loopback
from addon.configuration.client_settings import AccessSettings

__all__ = ["require_some_key", "warn_of_an_open_proxy"]

_FIRST_KEY = """\
Claude Proxy can be reached from other machines, so it asks clients for a key. This one is shown this once:

    OPENAI_API_KEY={key}

`claude-proxy keys` makes more of them; --allow-anonymous does without.
"""

log = structlog.get_logger(__name__)


def require_some_key(access: Access, settings: AccessSettings, options: Options) -> None:
    """Make a key where other machines may come and there is none; until then no request is answered."""
    if (
        not settings.allow_anonymous
        and listens_beyond_loopback(options.mode, options.listen_host)
        and (key := access.make_first_key())
    ):
        # Not through the log, which would mask it and which others keep.
        sys.stderr.write(_FIRST_KEY.format(key=key))
        sys.stderr.flush()


def warn_of_an_open_proxy(settings: AccessSettings, options: Options) -> None:
    """Say where anybody may come: mitmdump listens on all addresses. `claude-proxy` says so where it starts."""
    if settings.proxy_keys or ("proxyauth" in options and options.proxyauth):
        return
    if proxies_beyond_loopback(options.mode, options.listen_host):
        instead = "--listen-host 127.0.0.1 keeps it to this machine, access.proxy_keys or proxyauth asks who it is"
        log.warning("open_proxy", detail=f"other machines can reach the proxy and use your key: {instead}")
