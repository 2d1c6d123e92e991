"""The shortcuts through mitmproxy lead where its own ways do."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """
import json, sys, uuid
from collections.abc import Sequence
from types import SimpleNamespace
from mitmproxy import flow, http, options
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.connection import Client
from mitmproxy.net.http.http1 import read
from mitmproxy.proxy import commands, events, layers, server_hooks
from mitmproxy.proxy.context import Context
from addon.serving.mitmproxy_shortcuts import take_shortcuts

if sys.argv[1] == "shortcuts":
    take_shortcuts()
headers = http.Headers([(b"Accept", b"a"), (b"accept", b"b"), (b"Host", b"h\\xff")], content_type="text/plain")
found = [headers.get(name) for name in ("accept", "ACCEPT", b"host", "missing", "Content-Type")]
found += [headers.get_all("accept"), "ACCEPT" in headers, "accep" in headers, len(headers), list(headers)]
found += [headers.get("missing", "x"), headers.get(b"Missing", default=""), b"HOST" in headers, headers["accept"]]
headers["ACCEPT"] = "c"
headers.add("x-y", "1")
del headers["host"]
found += [bytes(headers).decode(), http.Headers(b"" and []).get("x"), bytes(http.Headers()).decode()]
found += [str(http.Headers([[b"a", b"b"]]).fields), str(http.Headers(iter([(b"a", b"b")]), a="c", d_e="f").fields)]
for wrong in ([(b"a", "b")], [("a", b"b")]):
    try:
        http.Headers(wrong)
    except TypeError as error:
        found.append(str(error))

tls_config = TlsConfig()
for serial in (5, 6):
    tls_config.certstore = SimpleNamespace(default_ca=SimpleNamespace(serial=serial))
    found += [tls_config.crl_path(), tls_config.crl_path()]

given = options.Options(listen_host="h", mode=["regular", "socks5"], http2=False)
given.add_option("names", Sequence[str], ["a"], "")
given.add_option("wish", str | None, None, "")
found += [given.default("listen_port"), {name: getattr(given, name) for name in sorted(given.keys())}]
given.mode.append("lost")  # a copy
given.update(listen_port=1)
found += [given.mode, given.listen_port, given.has_changed("listen_port"), given.has_changed("websocket")]
given.reset()
found += [given.mode, given.listen_port]

context = Context(Client(peername=("192.0.2.1", 1), sockname=("192.0.2.2", 2)), given)
context.layers.append(1)
fork = context.fork()
fork.layers.append(2)
found += [context.layers, fork.layers, type(fork) is Context]
found += [getattr(fork, name) is getattr(context, name) for name in ("client", "options", "server")]
fork.server = None
found += [context.server is None, sorted(vars(context)) == sorted(vars(fork))]
hook = layers.http.HttpRequestHook("flow")
both = server_hooks.ServerConnectHook(data="data")
found += [hook.args(), both.args(), hook.name, hook.blocking, repr(both)]
done = events.HookCompleted(hook, None)
open_done = events.OpenConnectionCompleted(commands.OpenConnection(context.server), reply="no")
found += [done.command is hook, open_done.reply]
made = [each for _ in range(100) for each in (Client(peername=("", 1), sockname=("", 2)), flow.Flow(None, None))]
ids = [uuid.UUID(each.id) for each in made]
found += [len(set(ids)), {str(each.version) + each.variant for each in ids}.pop()]
for version in (b"HTTP/1.0", b"HTTP/1.1", b"HTTP/2.0", b"HTTP/1.10", b"http/1.1", b"HTTP/1.1x"):
    try:
        found.append(read.read_request_head([b"GET /a " + version, b"host: b"]).http_version)
    except ValueError as error:
        found.append(str(error))
print(json.dumps(found))
"""


def seen(way: str) -> object:
    command = [sys.executable, "-c", _PROGRAM, way]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def plain() -> object:
    return seen("plain")


def test_all_is_the_same_by_the_shortcuts(plain: object):
    assert seen("shortcuts") == plain
