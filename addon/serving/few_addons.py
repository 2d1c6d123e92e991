"""The few of mitmproxy's own addons that `claude-proxy` carries, without the import of all the others.

`mitmproxy.addons` imports every one with all that they need (a web framework, LDAP, a parser generator): 14 MiB and a
sixth of the start. So its modules are imported while the package itself has not been executed, which it is when
somebody asks for what it defines.
"""

import importlib.util
import sys
from typing import Any


def _defer_package(name: str) -> None:
    spec = importlib.util.find_spec(name)
    if name in sys.modules or spec is None or spec.loader is None:
        return
    loader, package = spec.loader, importlib.util.module_from_spec(spec)

    def execute_for(attribute: str) -> Any:
        # All that the package defines; for anything else, the import system looks for a module.
        if attribute != "default_addons":
            raise AttributeError(attribute)
        del package.__dict__["__getattr__"]
        loader.exec_module(package)
        return getattr(package, attribute)

    package.__dict__["__getattr__"] = execute_for
    sys.modules[name] = package


_defer_package("mitmproxy.addons")

from mitmproxy.addons import block, core, disable_h2c, next_layer, proxyserver, tlsconfig, upstream_auth  # noqa: E402 - now

__all__ = ["FEW_ADDONS", "few_addons"]

FEW_ADDONS: tuple[type[Any], ...] = (
    core.Core,
    block.Block,
    disable_h2c.DisableH2C,
    proxyserver.Proxyserver,
    next_layer.NextLayer,
    tlsconfig.TlsConfig,
    upstream_auth.UpstreamAuth,
)
"""In the order of mitmproxy's own list."""


def few_addons() -> list[Any]:
    """Make them."""
    return [kind() for kind in FEW_ADDONS]
