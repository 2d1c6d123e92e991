"""What `claude-proxy run` sets for an app: the variables that make each runtime use the proxy and trust it."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import certifi

from addon.commands.java_trust_store import java_options

__all__ = ["JAVA_TRUST_STORE", "PLACEHOLDER_KEY", "app_environment", "ca_bundle", "https_proxy_of"]

PLACEHOLDER_KEY = "sk-claude-proxy"
"""OpenAI's clients refuse to start without a key. Claude Proxy never passes it on."""

JAVA_TRUST_STORE = "java-trust-store.p12"
"""Name of the file beside the bundle."""

_REPLACING_CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Each names the file that replaces the system's roots: Python and OpenSSL, requests, curl."""

_ADDING_CA_VARIABLES = ("NODE_EXTRA_CA_CERTS", "DENO_CERT", "CODEX_CA_CERTIFICATE")
"""Each names a file that is added to the roots: Node and Bun, Deno, Codex."""


def app_environment(environment: Mapping[str, str], proxy_url: str, ca: Path, bundle: Path) -> dict[str, str]:
    """Build the app's environment: the variables that make each runtime use the proxy and trust its certificates.

    Go, .NET, Python and most else follow HTTPS_PROXY and SSL_CERT_FILE. git needs nothing: its traffic is tunnelled as
    it is.
    """
    _, https_proxy = https_proxy_of(environment)
    http_proxy = environment.get("http_proxy") or environment.get("HTTP_PROXY")
    own = [name.strip() for name in (environment.get("NO_PROXY") or environment.get("no_proxy") or "").split(",")]
    no_proxy = ",".join(dict.fromkeys(name for name in (*own, "localhost", "127.0.0.1", "::1") if name))
    proxy = urlsplit(proxy_url)
    java = java_options(proxy.hostname or "", proxy.port or 0, bundle.with_name(JAVA_TRUST_STORE))
    return {
        "OPENAI_API_KEY": PLACEHOLDER_KEY,
        **environment,
        "HTTPS_PROXY": proxy_url,
        "https_proxy": proxy_url,
        # Ruby's Net::HTTP asks for this one, for HTTPS too. A proxy that plain HTTP alone goes through is left alone.
        **({"http_proxy": proxy_url} if not http_proxy or http_proxy == https_proxy else {}),
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
        "NODE_USE_ENV_PROXY": "1",  # without it, Node's own fetch ignores the proxy; Node 20 has none
        **dict.fromkeys(_REPLACING_CA_VARIABLES, str(bundle)),
        # Where the user has set one of these already, the bundle holds that file's roots as well.
        **{name: str(bundle if environment.get(name) else ca) for name in _ADDING_CA_VARIABLES},
        # Of two options of one name Java takes the last.
        "JAVA_TOOL_OPTIONS": f"{environment.get('JAVA_TOOL_OPTIONS', '')} {java}".strip(),
    }


def https_proxy_of(environment: Mapping[str, str]) -> tuple[str, str | None]:
    """Find the proxy that an app uses for HTTPS, and which variable names it. ALL_PROXY is for what has no own."""
    names = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
    return next(((name, proxy) for name in names if (proxy := environment.get(name))), (names[0], None))


def ca_bundle(environment: Mapping[str, str], ca: Path) -> bytes:
    """Join the proxy's CA with every root that the app would trust without us: the system's and the user's own."""
    system = ssl.get_default_verify_paths().cafile or certifi.where()
    own = [environment.get(name) for name in (*_REPLACING_CA_VARIABLES, *_ADDING_CA_VARIABLES)]
    files = dict.fromkeys([system, *filter(None, own)])  # each once, in this order
    roots = [Path(file).read_bytes() for file in files if Path(file).is_file()]
    return b"\n".join([*roots, ca.read_bytes()])
