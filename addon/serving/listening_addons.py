"""The addons of the trimmed master, whose hooks are called where mitmproxy comes upon them.

mitmproxy looks for each hook in all addons, and runs it as a task, which at its end waits for the lock of the very
event that the hook came of: a future, a suspended task and a turn of the event loop, eight hooks a request. What of
it comes before Claude is asked, the first token waits for.
"""

import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, override

from addon.serving.few_addons import FEW_ADDONS  # before mitmproxy's own, as it says

# isort: split

from mitmproxy import exceptions
from mitmproxy.addonmanager import AddonManager, safecall, traverse
from mitmproxy.connection import Client
from mitmproxy.hooks import Hook
from mitmproxy.master import Master
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.server import ConnectionHandler

__all__ = ["ListeningAddons", "PromptHooks"]

_OF_FLOWS = ("requestheaders", "request", "responseheaders", "response")
"""The hooks of a claimed flow. What mitmproxy's few addons do to one in theirs, they do before ours is asked."""

type _HookCall = Callable[..., Any]

_MOST_AT_ONCE = 16
"""Hooks of one event that are called without a task. A request has four. One read can hold thousands of requests that
are refused by their heads: all other connections would wait for them."""


class ListeningAddons(AddonManager):
    """Calls the hooks that there are. For a chain that does not change once events come: no scripts."""

    def __init__(self, master: Master) -> None:
        super().__init__(master)  # type: ignore[no-untyped-call] # mitmproxy has no annotations here
        self._hooks: dict[str, Sequence[_HookCall]] = {}

    @override
    def register(self, addon: Any) -> Any:
        self._hooks.clear()
        return super().register(addon)  # type: ignore[no-untyped-call] # see __init__

    def hears_alone(self, addon: object) -> bool:
        """Whether no other addon is asked about the requests that this one claims, and about their answers."""
        others = [each for each in traverse(self.chain) if each is not addon and not isinstance(each, FEW_ADDONS)]
        return not any(hasattr(each, name) for each in others for name in _OF_FLOWS)

    @override
    async def trigger_event(self, event: Hook) -> None:
        if (rest := self.call(event)) is not None:
            await rest

    def call(self, event: Hook) -> Coroutine[Any, Any, None] | None:
        """Call an event's hooks; return what there is to wait for, if one of them is not done at once."""
        hooks = self._hooks.get(event.name)
        if hooks is None:
            hooks = [hook for addon in self.chain for _, hook in self._iter_hooks(addon, event)]
            self._hooks[event.name] = hooks
        return self._call(hooks, event)

    def _call(self, hooks: Sequence[_HookCall], event: Hook) -> Coroutine[Any, Any, None] | None:
        arguments = event.args()
        for position, hook in enumerate(hooks, 1):
            try:
                called = hook(*arguments)
            except exceptions.AddonHalt:
                return None
            except Exception:
                with safecall():
                    raise
            else:
                if called is not None and inspect.isawaitable(called):
                    return self._wait_and_call(called, hooks[position:], event)
        return None

    async def _wait_and_call(self, called: Awaitable[None], hooks: Sequence[_HookCall], event: Hook) -> None:
        try:
            await called
        except exceptions.AddonHalt:
            return
        except Exception:
            with safecall():
                raise
        if (rest := self._call(hooks, event)) is not None:
            await rest


class PromptHooks:
    """The addon that has the hooks of each connection called at once."""

    def __init__(self, addons: ListeningAddons) -> None:
        self._addons = addons

    def client_connected(self, client: Client) -> None:
        """Change a connection, whose first event comes after this."""
        handler = self._addons.get("proxyserver").connections.get(client.id)  # type: ignore[no-untyped-call] # as above
        if handler is not None:
            _call_hooks_at_once(handler, self._addons)


def _call_hooks_at_once(handler: ConnectionHandler, addons: ListeningAddons) -> None:
    """Have a connection's hooks called without a task, and its layers told as soon as they are done with the event.

    A hook that has to wait becomes mitmproxy's task, and so does what comes after the first hooks of an event. What
    mitmproxy itself does besides is for addons that are not here: those that intercept flows, and those that show them.
    Where a layer raises something, the layers behind hooks that are done are not told: their connection ends
    (`addon.interception.client_connections.end_with_its_layers`).
    """
    give_to_layers = handler.layer.handle_event
    waiting: dict[int, Coroutine[Any, Any, None]] = {}

    def handle_event(event: events.Event) -> layer.CommandGenerator[None]:
        todo = deque([event])
        left = _MOST_AT_ONCE
        while todo:
            for command in give_to_layers(todo.popleft()):
                if not isinstance(command, commands.StartHook):
                    yield command
                    continue
                left -= 1
                rest = addons.call(command) if left >= 0 else addons.trigger_event(command)
                if rest is not None:
                    waiting[id(command)] = rest
                    yield command
                elif command.blocking:
                    todo.append(events.HookCompleted(command))

    async def hook_task(hook: commands.StartHook) -> None:
        with handler.timeout_watchdog.disarm():
            await waiting.pop(id(hook))
        if hook.blocking:
            await handler.server_event(events.HookCompleted(hook))

    handler.layer.handle_event = handle_event  # type: ignore[method-assign] # mitmproxy makes its handlers by itself
    handler.hook_task = hook_task  # type: ignore[method-assign] # see above
