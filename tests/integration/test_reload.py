"""Settings that change while the proxy runs: for the next request, all or none, in every process."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mitmproxy import ctx, exceptions

from addon.access.access import Access
from addon.configuration.settings import Settings, load_settings
from addon.exchanges.gateway import Gateway, open_gateway
from addon.interception.interceptor import ClaudeProxyAddon
from addon.simulated_claude.server import RunningSimulation
from tests.contract.proxy_process import ProxyProcess, proxy_process
from tests.integration.raw_upstream import Call, raw_upstream, whole_answer
from tests.integration.running_proxy import RunningProxy, run_proxy
from tests.integration.serving_process import ServingProcess, serving_process

STANDALONE = "reverse:http://standalone.claude-proxy.invalid@127.0.0.1:0"


def write(file: Path, **sections: object) -> None:
    """Put a file in place as an editor does: whole."""
    new = file.with_suffix(".new")
    new.write_text(json.dumps(sections))
    new.replace(file)


async def answered_by(proxy: ServingProcess, times: int = 1) -> set[str]:
    """Ask on connections of their own; find Claude's models that answered, by what the log says."""
    before = len(proxy.events("exchange"))
    for _ in range(times):
        async with httpx2.AsyncClient(trust_env=False, timeout=30) as client:
            body = {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}
            answer = await client.post(f"http://127.0.0.1:{proxy.port}/v1/chat/completions", json=body)
            assert answer.status_code == 200, answer.text
    await proxy.event("exchange", before + times - 1)
    return {event["claude_model"] for event in proxy.events("exchange")[before:]}


async def until_all_answer_by(proxy: ServingProcess, model: str) -> None:
    """Wait for the last worker to take what was changed: they are told one after the other."""
    async with asyncio.timeout(100):
        while await answered_by(proxy, 10) != {model}:
            pass


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_changed_file_is_in_force_for_the_next_request(
    simulation: RunningSimulation, tmp_path: Path, workers: int
) -> None:
    file = tmp_path / "config.json"
    write(file, claude={"default_model": "claude-sonnet-5-5"}, server={"workers": workers})
    async with serving_process(simulation.base_url, tmp_path) as proxy:
        assert await answered_by(proxy, 4) == {"claude-sonnet-5-5"}

        write(file, claude={"aliases": {"fast": "claude-haiku-5-5"}}, server={"workers": workers})
        assert (await proxy.event("settings_reloaded"))["changed"] == ["claude.aliases"]
        if workers > 1:
            await until_all_answer_by(proxy, "claude-haiku-5-5")
        assert await answered_by(proxy, 4) == {"claude-haiku-5-5"}

        # A file that is wrong changes nothing, and each mistake has its line.
        write(file, claude={"aliases": 7, "max_tokenss": 1}, server={"workers": workers})
        first, second = [await proxy.event("settings_not_reloaded", number) for number in range(2)]
        assert {first["detail"].partition(" ")[0], second["detail"].partition(" ")[0]} == {
            "claude.aliases",
            "claude.max_tokenss",
        }
        assert await answered_by(proxy, 4) == {"claude-haiku-5-5"}

        # SIGHUP reads it again; what cannot change is named, and what can changes with it.
        write(file, claude={"default_model": "claude-haiku-5-5", "timeout": 5}, logging={"level": "WARNING"})
        proxy.process.send_signal(signal.SIGHUP)
        kept = await proxy.event("setting_not_reloaded")
        assert kept["setting"] in {"claude.timeout", "server.workers"}
        async with httpx2.AsyncClient(trust_env=False) as client:
            while True:
                before = len(proxy.events("exchange"))
                await client.get(f"http://127.0.0.1:{proxy.port}/v1/models")
                await asyncio.sleep(0.1)
                if len(proxy.events("exchange")) == before:
                    break
        assert proxy.process.returncode is None


def logged(proxy: ProxyProcess, name: str, number: int) -> dict[str, Any]:
    """Wait for an event in what mitmdump prints."""
    latest = time.monotonic() + 60
    while time.monotonic() < latest:
        lines = [json.loads(line) for line in proxy.printed().splitlines() if line.startswith("{")]
        found = [line for line in lines if line["event"] == name]
        if len(found) > number:
            return found[number]
        time.sleep(0.05)
    raise AssertionError(proxy.printed())


def test_mitmdump_looks_at_the_file_too_and_goes_on_after_one_that_is_wrong(confdir: Path, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    write(file, claude={"aliases": {"fast": "claude-sonnet-5-5"}})
    given = {"CLAUDE_PROXY_CONFIG": str(file), "CLAUDE_PROXY_SIMULATE": "true", "CLAUDE_PROXY_STORE_PATH": ":memory:"}
    asked = {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}
    with proxy_process(confdir, tmp_path / "output", "http://claude.invalid", environment=given) as proxy:
        write(file, claude={"aliases": 7, "max_tokenss": 1})
        wrong = {logged(proxy, "settings_not_reloaded", number)["detail"].partition(" ")[0] for number in range(2)}
        assert wrong == {"claude.aliases", "claude.max_tokenss"}
        httpx2.post(f"{proxy.origin}/v1/chat/completions", json=asked, trust_env=False, timeout=30)
        assert logged(proxy, "exchange", 0)["claude_model"] == "claude-sonnet-5-5"

        file.unlink()
        assert "cannot be read" in logged(proxy, "settings_not_reloaded", 2)["detail"]

        write(file, claude={"aliases": {"fast": "claude-haiku-5-5"}})
        assert logged(proxy, "settings_reloaded", 0)["changed"] == ["claude.aliases"]
        httpx2.post(f"{proxy.origin}/v1/chat/completions", json=asked, trust_env=False, timeout=30)
        assert logged(proxy, "exchange", 1)["claude_model"] == "claude-haiku-5-5"


async def test_the_key_for_claude_is_changed_without_a_restart(tmp_path: Path) -> None:
    async def answer(call: Call) -> None:
        await call.send(whole_answer("Hi"))

    file = tmp_path / "config.json"
    async with raw_upstream(answer) as claude:
        write(file, claude={"api_key": "sk-ant-before"})
        async with serving_process(claude.base_url, tmp_path, ANTHROPIC_API_KEY="") as proxy:
            await answered_by(proxy)
            write(file, claude={"api_key": "sk-ant-after"})
            assert (await proxy.event("settings_reloaded"))["changed"] == ["claude.api_key"]
            await answered_by(proxy)
        heads = [call.head for call in claude.calls]
        assert [b"sk-ant-before" in head for head in heads] == [True, False]
        assert [b"sk-ant-after" in head for head in heads] == [False, True]
        assert "sk-ant-" not in proxy.log.read_text()


@pytest.mark.parametrize(
    ("aliases", "times"), [(1000, 20), (40_000, 2)], ids=["many_orders", "orders_larger_than_a_pipe"]
)
async def test_a_worker_that_hangs_holds_no_reload_up_and_has_the_last_settings_when_it_goes_on(
    simulation: RunningSimulation, tmp_path: Path, aliases: int, times: int
) -> None:
    file = tmp_path / "config.json"
    write(file, server={"workers": 2})
    async with serving_process(simulation.base_url, tmp_path) as proxy:
        hung, _ = proxy.workers()
        os.kill(hung, signal.SIGSTOP)
        try:
            many = {f"model-{number}": "claude-sonnet-5-5" for number in range(aliases)}
            for number in range(times):
                write(file, claude={"aliases": {**many, "model-x": f"claude-{number}"}}, server={"workers": 2})
                proxy.process.send_signal(signal.SIGHUP)
                await proxy.event("settings_reloaded", number)
            write(file, claude={"aliases": {"fast": "claude-haiku-5-5"}}, server={"workers": 2})
            proxy.process.send_signal(signal.SIGHUP)
            await proxy.event("settings_reloaded", times)
        finally:
            os.kill(hung, signal.SIGCONT)
        await until_all_answer_by(proxy, "claude-haiku-5-5")  # it is told at once, and has much to read
        assert await answered_by(proxy, 10) == {"claude-haiku-5-5"}


async def test_options_that_are_changed_in_mitmproxys_interfaces_are_taken_or_refused(
    simulation: RunningSimulation, confdir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test-key")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", simulation.base_url)
    async with run_proxy(None, confdir, STANDALONE, full=True) as proxy:
        options = proxy.master.options
        options.update(claude_default_model="claude-haiku-5-5")
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}") as client:
            body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
            assert (await client.post("/v1/chat/completions", json=body)).status_code == 200
        with pytest.raises(exceptions.OptionsError, match=r"claude\.timeout: takes effect at the start"):
            options.update(claude_timeout="5")
        assert options.claude_timeout == "600"
        with pytest.raises(exceptions.OptionsError, match="claude_max_tokens"):
            options.update(claude_max_tokens=-1)
        with pytest.raises(exceptions.OptionsError, match=r"\(foundry:\) cannot be asked"):
            options.update(claude_aliases=["gpt-4o=foundry:claude-opus-5-5"])
        options.update(anticache=True)  # what is not ours is nobody's business
        monkeypatch.delenv("ANTHROPIC_API_KEY")
        with pytest.raises(exceptions.OptionsError, match="ANTHROPIC_API_KEY"):
            options.update(claude_default_model="claude-opus-5-5")
    (asked,) = [entry.body for entry in simulation.journal if entry.path == "/v1/messages"]
    assert asked["model"] == "claude-haiku-5-5"


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Have something done while a proxy starts: it may wait seconds for Claude's list of models."""

    def have_done(change: Callable[[], None]) -> None:
        async def open_slowly(settings: Settings, access: Access) -> Gateway:
            gateway = await open_gateway(settings, access)
            change()
            return gateway

        monkeypatch.setattr("addon.interception.life.open_gateway", open_slowly)

    return have_done


def settings_in_force(proxy: RunningProxy) -> Settings:
    assert proxy.addon._gateway is not None
    return proxy.addon._gateway.settings


async def test_a_file_that_changes_while_the_proxy_starts_is_read_again(
    meanwhile: Callable[[Callable[[], None]], None], confdir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config.json"
    write(file, claude={"simulate": True})
    monkeypatch.setenv("CLAUDE_PROXY_CONFIG", str(file))
    monkeypatch.setenv("CLAUDE_PROXY_STORE_PATH", ":memory:")
    meanwhile(lambda: write(file, claude={"simulate": True, "default_model": "claude-haiku-5-5"}))
    async with run_proxy(None, confdir, STANDALONE) as proxy, asyncio.timeout(60):
        while settings_in_force(proxy).claude.default_model != "claude-haiku-5-5":
            await asyncio.sleep(0.05)


async def test_settings_that_come_while_the_proxy_starts_are_in_force_when_it_has(
    meanwhile: Callable[[Callable[[], None]], None], confdir: Path
) -> None:
    before, after = (
        load_settings({"claude": {"simulate": True, "default_model": model}, "store": {"path": ":memory:"}})
        for model in ("claude-sonnet-5-5", "claude-haiku-5-5")
    )
    addons: list[ClaudeProxyAddon] = []
    meanwhile(lambda: addons[0].apply(after))  # as SIGHUP has it

    class Seen(ClaudeProxyAddon):
        def __init__(self, settings: Settings | None, **options: Any) -> None:
            super().__init__(settings, **options)
            addons.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.integration.running_proxy.ClaudeProxyAddon", Seen)
        async with run_proxy(before, confdir, STANDALONE) as proxy:
            assert settings_in_force(proxy) is after
            assert proxy.addon._gateway is not None
            assert proxy.addon._gateway.catalog.default_model == "claude-haiku-5-5"


async def test_options_that_are_set_while_the_proxy_starts_are_in_force_when_it_has(
    meanwhile: Callable[[Callable[[], None]], None], confdir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLAUDE_PROXY_STORE_PATH", ":memory:")
    meanwhile(lambda: ctx.options.update(claude_default_model="claude-haiku-5-5"))
    async with run_proxy(None, confdir, STANDALONE, claude_simulate=True) as proxy:
        assert settings_in_force(proxy).claude.default_model == "claude-haiku-5-5"
        assert proxy.addon._gateway is not None
        assert proxy.addon._gateway.access is proxy.addon._access
        proxy.master.options.update(claude_default_model="claude-opus-5-5")
        assert settings_in_force(proxy).claude.default_model == "claude-opus-5-5"
