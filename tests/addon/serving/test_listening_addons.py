"""The chain of addons that `claude-proxy` has."""

import logging

import pytest
from mitmproxy import exceptions
from mitmproxy.addonmanager import AddonManager
from mitmproxy.master import Master
from mitmproxy.options import Options
from mitmproxy.proxy.layers.http import HttpRequestHook
from mitmproxy.test.tflow import tflow

from addon.serving.listening_addons import ListeningAddons


class Listener:
    def __init__(self, name: str, failure: Exception | None = None) -> None:
        self.name = name
        self.failure = failure
        self.calls: list[str] = []

    def request(self, flow) -> None:
        self.calls.append(flow.id)
        if self.failure:
            raise self.failure


class Awaited(Listener):
    async def request(self, flow) -> None:
        super().request(flow)


class Deaf:
    name = "deaf"


CHAINS = {"mitmproxy": AddonManager, "ours": ListeningAddons}


@pytest.fixture(params=CHAINS)
async def chain(request):
    """mitmproxy's own chain and ours, of which the same is asked."""
    master = Master(Options())
    master.addons = CHAINS[request.param](master)
    yield master.addons
    master._legacy_log_events.uninstall()


@pytest.mark.parametrize("kind", [Listener, Awaited])
async def test_every_hook_is_called_once_in_the_order_of_the_chain(chain, kind):
    listeners = [kind("first"), kind("second")]
    chain.add(listeners[0], Deaf(), listeners[1])
    flow = tflow()
    for times in (1, 2):
        await chain.trigger_event(HttpRequestHook(flow))
        assert [each.calls for each in listeners] == [[flow.id] * times] * 2


async def test_an_addon_that_is_added_later_is_called_too(chain):
    flow, late = tflow(), Listener("late")
    await chain.trigger_event(HttpRequestHook(flow))
    chain.add(late)
    await chain.trigger_event(HttpRequestHook(flow))
    assert late.calls == [flow.id]


async def test_what_a_hook_raises_is_logged_and_the_next_is_called(chain, caplog):
    flow, after = tflow(), Listener("after")
    chain.add(Awaited("broken", ValueError("it broke")), after)
    with caplog.at_level(logging.ERROR):
        await chain.trigger_event(HttpRequestHook(flow))
    assert [record.getMessage() for record in caplog.records] == ["Addon error: it broke"]
    assert after.calls == [flow.id]


async def test_a_hook_can_end_the_chain(chain):
    flow, after = tflow(), Listener("after")
    chain.add(Listener("halting", exceptions.AddonHalt()), after)
    await chain.trigger_event(HttpRequestHook(flow))
    assert after.calls == []


@pytest.mark.parametrize("chain", ["ours"], indirect=True)
async def test_hooks_that_are_done_leave_nothing_to_wait_for(chain):
    flow, listener, awaited, last = tflow(), Listener("first"), Awaited("second"), Listener("last")
    chain.add(listener)
    assert chain.call(HttpRequestHook(flow)) is None
    chain.add(awaited, last)
    rest = chain.call(HttpRequestHook(flow))
    assert [len(each.calls) for each in (listener, awaited, last)] == [2, 0, 0]
    await rest
    assert [len(each.calls) for each in (listener, awaited, last)] == [2, 1, 1]
