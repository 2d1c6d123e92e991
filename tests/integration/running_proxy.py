"""A real mitmproxy with the addon in it, on real sockets, in the test's own event loop."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from mitmproxy import options
from mitmproxy.master import Master
from mitmproxy.tools.dump import DumpMaster

from addon.configuration.settings import Settings
from addon.interception.interceptor import ClaudeProxyAddon
from addon.serving.few_addons import few_addons
from addon.serving.listening_addons import ListeningAddons, PromptHooks


@dataclass
class RunningProxy:
    """A proxy that listens; `ports` in the order of its modes."""

    master: Master
    addon: ClaudeProxyAddon
    ports: list[int]
    confdir: Path

    @property
    def port(self) -> int:
        return self.ports[0]

    @property
    def ca(self) -> Path:
        return self.confdir / "mitmproxy-ca-cert.pem"

    @property
    def running(self) -> int:
        """Exchanges that are being answered."""
        assert self.addon._gateway is not None
        return len(self.addon._gateway.running)


@contextlib.asynccontextmanager
async def run_proxy(
    settings: Settings | None,
    confdir: Path,
    *modes: str,
    full: bool = False,
    keeps_bodies: bool = True,
    **more_options: object,
) -> AsyncIterator[RunningProxy]:
    """Run the few addons of `claude-proxy`, or with `full` all those of mitmdump, whose options are more."""
    listening = options.Options(mode=list(modes), listen_host="127.0.0.1", listen_port=0, confdir=str(confdir))
    master: Master
    if full:
        master = DumpMaster(listening, with_termlog=False, with_dumper=False)
    else:
        master = Master(listening)
        master.addons = chain = ListeningAddons(master)
        chain.add(PromptHooks(chain), *few_addons())
    addon = ClaudeProxyAddon(settings, keeps_bodies=keeps_bodies)
    master.addons.add(addon)
    master.options.update(**more_options)
    ready = asyncio.Event()
    proxyserver = master.addons.get("proxyserver")

    class Ready:
        async def running(self) -> None:
            while len(proxyserver.listen_addrs()) < len(modes):
                await asyncio.sleep(0.005)
            ready.set()

    master.addons.add(Ready())
    task = asyncio.create_task(master.run())
    try:
        async with asyncio.timeout(30):
            while not ready.is_set():
                if task.done():
                    task.result()
                    raise RuntimeError("the proxy ended before it listened")
                await asyncio.sleep(0.005)
        addresses = [server.listen_addrs[0] for server in proxyserver.servers]
        by_mode = {server.mode.full_spec: server.listen_addrs[0][1] for server in proxyserver.servers}
        assert len(addresses) == len(modes)
        yield RunningProxy(master, addon, [by_mode[mode] for mode in modes], confdir)
    finally:
        # mitmproxy leaves its sockets to the end of the process.
        await proxyserver.servers.update([])
        master.shutdown()
        await task


type ProxyStarter = Callable[..., contextlib.AbstractAsyncContextManager[RunningProxy]]
