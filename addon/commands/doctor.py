"""`claude-proxy doctor`: looks at all that the proxy needs, says one line each, and what to do."""

import asyncio
import dataclasses
import datetime as dt
import email.utils
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import httpx2
import msgspec

from addon.claude.backends import check_backends
from addon.claude.client import ClaudeClient
from addon.claude.failure_cause import cause_of
from addon.commands.doctor_checks import check_authority, check_environment, check_file, check_ports, check_state
from addon.commands.finding import Finding, failed, fine, warned
from addon.commands.runtimes import check_runtime
from addon.configuration.settings import Settings, SettingsError
from translators.backends import ANTHROPIC, BACKENDS, parse_target
from translators.errors import OpenAIError
from translators.model_catalog import SUCCESSORS

__all__ = ["check_claude", "check_other_backends", "doctor", "examine"]

_SKEW = dt.timedelta(seconds=60)
_HEADERS = {"anthropic-version": "2023-06-01"}
_WRONG_ADDRESS = "check claude.base_url: it must lead to Claude's API"
_MARKS = {"ok": "ok", "warning": "warn", "failed": "FAIL"}


def doctor(settings: Settings, command: Sequence[str], confdir: Path, *, as_json: bool) -> int:
    """Print what was found. Returns the exit status: 1 if something would fail.

    Args:
        settings: read, and perhaps without a key.
        command: the app to be run; empty for none.
        confdir: the folder of the certificate authority.
        as_json: one JSON array, for programs.
    """
    findings = asyncio.run(examine(settings, command, confdir, os.environ))
    if as_json:
        print(msgspec.json.encode([dataclasses.asdict(finding) for finding in findings]).decode())
    else:
        for finding in findings:
            advice = f" -> {finding.advice}" if finding.advice else ""
            print(f"{_MARKS[finding.status]:5} {finding.check}: {finding.detail}{advice}")
    sys.stdout.flush()
    return int(any(finding.status == "failed" for finding in findings))


async def examine(
    settings: Settings, command: Sequence[str], confdir: Path, environment: Mapping[str, str]
) -> list[Finding]:
    """Check everything, one after the other."""
    return [
        *await check_claude(settings, dt.datetime.now(dt.UTC)),
        *check_other_backends(settings),
        *check_authority(confdir, dt.datetime.now(dt.UTC)),
        *check_file(settings),
        *check_ports(settings),
        *await check_state(settings),
        *check_environment(settings, environment),
        *(check_runtime(command, environment) if command else []),
    ]


async def check_claude(settings: Settings, now: dt.datetime) -> list[Finding]:
    """Ask Claude which models the key may use; that costs nothing. Its answer also tells the time."""
    if settings.claude.simulate:
        return [fine("key", "Claude is simulated: no key is needed")]
    if not settings.has_key:
        if not settings.claude.needs_key:
            return [fine("key", "no model is of Claude's own API: no key is needed")]
        if settings.access.bring_your_own_key:
            return [fine("key", "clients bring their own")]
        return [failed("key", "there is none", "set ANTHROPIC_API_KEY, or simulate Claude: --simulate")]
    base_url = settings.claude.base_url
    async with ClaudeClient(settings) as claude:
        try:
            response = await claude.forward("GET", "/v1/models?limit=1000", b"", _HEADERS)
            key = _judge_key(response.status_code, await response.aread())
            models = await _check_models(claude, settings) if key.status == "ok" else []
        except OpenAIError as error:
            advice = "check the network, claude.base_url and claude.proxy (CLAUDE_PROXY_EGRESS_PROXY)"
            cause = cause_of(error)
            why = f" ({cause})" if cause else ""
            return [failed("Claude", f"{base_url}: {error.message.removesuffix('.')}{why}", advice)]
        except (httpx2.RequestError, httpx2.StreamError):
            advice = "check the network, and that claude.base_url leads to Claude's API"
            return [failed("Claude", f"{base_url}: its answer breaks off, or cannot be read", advice)]
    reached = fine("Claude", f"{base_url} answers")
    return [reached, key, *models, *_check_clock(response.headers.get("date"), now)]


async def _check_models(claude: ClaudeClient, settings: Settings) -> list[Finding]:
    """Ask for each model of Claude's own API that the settings name; a retired one has its successor."""
    targets = [parse_target(model) for model in settings.claude.models]
    asked = dict.fromkeys(target.model for target in targets if target.backend == ANTHROPIC)
    findings = []
    for model in (each for each in asked if each not in SUCCESSORS):
        response = await claude.forward("GET", f"/v1/models/{quote(model, safe='')}", b"", _HEADERS)
        await response.aread()
        if response.status_code == 404:
            advice = "correct claude.default_model, claude.aliases or claude.fallbacks: requests for it get 404"
            findings.append(warned("models", f"Claude knows no {model}", advice))
    return findings


def check_other_backends(settings: Settings) -> list[Finding]:
    """Look whether the other backends of the settings' models can be asked, as far as that shows without asking."""
    check, advice = "backend", "docs/configuration.md says what each backend needs: Claude in the clouds"
    try:
        check_backends(settings)
    except SettingsError as error:
        return [failed(check, problem.removesuffix("."), advice) for problem in error.problems]
    return [fine(check, f"{BACKENDS[name].title} is set up") for name in settings.claude.backends]


def _judge_key(status: int, body: bytes) -> Finding:
    if status in {401, 403}:
        advice = "check ANTHROPIC_API_KEY against the keys of your account, and that it may use this workspace"
        return failed("key", f"Claude refuses it (status {status})", advice)
    if status == 404:
        return failed("key", "Claude's list of models is not there (status 404)", _WRONG_ADDRESS)
    if status != 200:
        return warned("key", f"Claude answers with status {status}", "try again later")
    try:
        models = len(msgspec.json.decode(body)["data"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return failed("key", "what answers is not Claude's API", _WRONG_ADDRESS)
    return fine("key", f"Claude knows it: it may use {models} models")


def _check_clock(date: str | None, now: dt.datetime) -> list[Finding]:
    try:
        theirs = email.utils.parsedate_to_datetime(date or "")
    except ValueError:
        return []
    skew = now - (theirs if theirs.tzinfo else theirs.replace(tzinfo=dt.UTC))  # "-0000" (RFC 5322, 3.3)
    if abs(skew) <= _SKEW:
        return [fine("clock", "it agrees with Claude's")]
    seconds = round(skew.total_seconds())
    direction = "ahead of" if seconds > 0 else "behind"
    advice = "set it (NTP): certificates and times to live depend on it"
    return [warned("clock", f"it is {abs(seconds)} s {direction} Claude's", advice)]
