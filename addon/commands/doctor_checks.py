"""What `claude-proxy doctor` looks at on this machine: certificate authority, ports, state, environment."""

import datetime as dt
import difflib
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509

from addon.commands.finding import Finding, failed, fine, warned
from addon.configuration.settings import ALL_SETTINGS, Settings, find_foreign_file
from addon.configuration.start_error import StartError
from addon.observation.metrics_folder import IS_SUPPORTED
from addon.serving.listening import open_sockets
from addon.storage.sqlite_store import IN_MEMORY
from addon.storage.state_folder import open_store, store_folder
from addon.storage.store import Key, StoreUnavailableError

__all__ = ["check_authority", "check_environment", "check_file", "check_ports", "check_state"]

_SOON = dt.timedelta(days=30)
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_OUR_PREFIX = "CLAUDE_PROXY_"
_PROXY_PORT = 8080
"""Where mitmdump listens unless it is told otherwise."""


def check_authority(confdir: Path, now: dt.datetime) -> list[Finding]:
    """Look at the certificate authority: it can sign for any host."""
    check = "certificate authority"
    file = confdir / "mitmproxy-ca.pem"
    try:
        found, folder, data = file.stat(), confdir.stat(), file.read_bytes()
    except FileNotFoundError:
        return [fine(check, f"{file} is made at the first start")]
    except OSError as error:
        return [failed(check, f"{file} cannot be read: {error.strerror}", "run the proxy as the user that owns it")]
    findings = []
    if os.name == "posix":
        if found.st_mode & 0o077:
            findings.append(failed(check, f"others may read {file}, which can sign for any host", f"chmod 600 {file}"))
        if found.st_uid != os.getuid():
            findings.append(warned(check, f"{file} belongs to another user", "make sure that it is the one you trust"))
        if folder.st_mode & 0o022:
            findings.append(failed(check, f"others may write to {confdir}", f"chmod go-w {confdir}"))
    try:
        ends = x509.load_pem_x509_certificates(data)[0].not_valid_after_utc
    except ValueError:
        return [*findings, failed(check, f"{file} holds no certificate", f"remove it: rm {confdir}/mitmproxy-ca*")]
    again = f"rm {confdir}/mitmproxy-ca*, start the proxy, and have your clients trust the new one"
    if ends < now:
        findings.append(failed(check, f"{file} has expired on {ends:%Y-%m-%d}", again))
    elif ends < now + _SOON:
        findings.append(warned(check, f"{file} expires on {ends:%Y-%m-%d}", again))
    config = confdir / "config.yaml"
    if config.is_file() and re.search(r"(?m)^\s*emudhra\w*\s*:(?!\s*false\b)", config.read_text(errors="replace")):
        findings.append(
            failed(
                check,
                f"{config} turns on emudhra, whose signing key is public",
                "remove the line: anybody can read what it signs for",
            )
        )
    return findings or [fine(check, f"{file} is private and valid until {ends:%Y-%m-%d}")]


def check_file(settings: Settings) -> list[Finding]:
    """Say which configuration file is in force."""
    check, foreign = "configuration file", find_foreign_file(settings)
    if foreign is not None:
        advice = "if it is meant for the proxy, correct their names: `claude-proxy config schema` has them"
        return [warned(check, f"{foreign} is left alone, because it has none of the proxy's sections", advice)]
    return [fine(check, str(settings.config or "there is none"))]


def check_ports(settings: Settings) -> list[Finding]:
    """See whether `serve` could listen."""
    server, metrics = settings.server, settings.metrics
    wanted = [("port", "server.port", server.host, server.port)]
    if metrics.exporter and IS_SUPPORTED:
        wanted.append(("exporter's port", "metrics.exporter_port", metrics.exporter_host, metrics.exporter_port))
    findings = []
    for check, setting, host, port in wanted:
        try:
            for listening in open_sockets([f"regular@{port}"], host):
                listening.close()
        except StartError as error:
            advice = f"end what listens there (perhaps a proxy that runs already), or choose another {setting}"
            findings.append(failed(check, error.problems[0].removesuffix("."), advice))
        else:
            findings.append(fine(check, f"{host}:{port} is free" if port else "a free one is taken"))
    return findings


async def check_state(settings: Settings) -> list[Finding]:
    """See whether state could be kept, and whether the store answers."""
    store = settings.store
    findings = []
    folder = store_folder(store)
    if str(store.path) != IN_MEMORY:
        findings.append(_check_folder(folder))
    file = store.path or folder / "store.sqlite3"
    if store.redis_url is None and str(store.path) != IN_MEMORY and not file.exists():
        return [*findings, fine("store", f"{file} is made at its first use")]
    where = "Redis" if store.redis_url is not None else str(file)
    opened = open_store(store)
    try:
        await opened.load([Key("response", "", "doctor")])
    except StoreUnavailableError as error:
        advice = "check store.redis_url, and that it runs" if store.redis_url is not None else "check the file"
        findings.append(failed("store", f"{where} does not answer: {error.reason}", advice))
    else:
        findings.append(fine("store", f"{where} answers"))
    finally:
        await opened.close()
    return findings


def _check_folder(folder: Path) -> Finding:
    check = "state folder"
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        advice = "give the proxy's user the right to write there, or set store.path"
        return failed(check, f"{existing} cannot be written: {error.strerror}", advice)
    return fine(check, f"{folder} can be written" if existing == folder else f"{folder} is made at its first use")


def check_environment(settings: Settings, environment: Mapping[str, str]) -> list[Finding]:
    """Find variables that lead traffic in circles or past the proxy, and those that mean a setting and name none."""
    check = "environment"
    ours = {settings.server.port, _PROXY_PORT}
    alone = "set it for the app alone: `claude-proxy run` started here would go through itself"
    findings = [
        warned(check, f"{name} leads to this proxy", alone)
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
        if _leads_to(environment.get(name), ours)
    ]
    if not settings.claude.simulate and _leads_to(settings.claude.base_url, ours):
        advice = "unset ANTHROPIC_BASE_URL here: the proxy would ask itself"
        findings.append(failed(check, f"claude.base_url is {settings.claude.base_url}", advice))
    excepted = [name.strip().lower() for name in _first(environment, "NO_PROXY", "no_proxy").split(",")]
    if excepted_hosts := [
        host for host in settings.interception.hosts if any(_excepts(each, host) for each in excepted)
    ]:
        findings.append(
            warned(check, f"NO_PROXY excepts {excepted_hosts[0]}", "take it out: such requests go past the proxy")
        )
    findings += [
        failed(
            check, f"{name} names a file that is not there", "unset it, or correct it: nothing is trusted without it"
        )
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
        if (file := environment.get(name)) and not Path(file).is_file()
    ]
    if environment.get("NODE_TLS_REJECT_UNAUTHORIZED") == "0":
        advice = "unset it: `claude-proxy run` makes the app trust what it must"
        findings.append(warned(check, "NODE_TLS_REJECT_UNAUTHORIZED=0 lets Node trust everybody", advice))
    names = [setting.names.env for setting in ALL_SETTINGS]
    for name in sorted(environment.keys() - names):
        if name.startswith(_OUR_PREFIX):
            # Some names have another prefix, or none: PORT, ANTHROPIC_BASE_URL.
            rest = name.removeprefix(_OUR_PREFIX)
            meant = [each for each in (rest, f"ANTHROPIC_{rest}") if each in names]
            meant = meant or difflib.get_close_matches(name, names, n=1, cutoff=0.8)
            advice = f"it has no effect: did you mean {meant[0]}?" if meant else "unset it: it has no effect"
            findings.append(warned(check, f"{name} is no setting", advice))
    return findings or [fine(check, "no variable leads traffic astray")]


def _first(environment: Mapping[str, str], *names: str) -> str:
    return next((value for name in names if (value := environment.get(name))), "")


def _leads_to(url: str | None, ports: set[int]) -> bool:
    if not url:
        return False
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port
    except ValueError:
        return False
    return parts.hostname in _LOOPBACK and port in ports


def _excepts(entry: str, host: str) -> bool:
    name = entry.lstrip("*").lstrip(".")
    return entry == "*" or (bool(name) and (host == name or host.endswith(f".{name}")))
