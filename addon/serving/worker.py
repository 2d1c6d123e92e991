"""One of the processes that `claude-proxy serve --workers` answers with.

It is a fork of the one that runs `addon.serving.workers`. SIGTERM, SIGINT and SIGHUP are ignored here: they are for
the process that began it, and may come to the whole group (from a terminal, from systemd), where the same signal twice
would not wait.
"""

import asyncio
import pickle
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

from addon.configuration.settings import Settings
from addon.configuration.start_error import StartError
from addon.observation.logs import end_log
from addon.serving.event_loop import run_in_event_loop
from addon.serving.listening import Listening
from addon.serving.master import ProxyMaster, build_master
from addon.serving.serve import END_SIGNALS, Serving, ready_or_ended, reload_signals

__all__ = ["Apply", "Failed", "Order", "Ready", "Stop", "encode_order", "serve_as_worker"]

_PIECE_BYTES = 16 * 1024
"""multiprocessing sends that much, with its length before it, in one write."""


@dataclass(frozen=True, slots=True)
class Apply:
    """Put settings in force."""

    settings: Settings


@dataclass(frozen=True, slots=True)
class Stop:
    """End; a second one does not wait for the first. The times are in seconds."""

    drain_delay: float
    drain_timeout: float


type Order = Apply | Stop
"""What a worker is told."""


def encode_order(order: Order) -> list[bytes]:
    """Encode an order in pieces, each a message: settings can be larger than a pipe. All but the last one are full."""
    data = pickle.dumps(order)
    return [data[start : start + _PIECE_BYTES] for start in range(0, len(data) + 1, _PIECE_BYTES)]


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker answers."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker cannot start."""

    problems: tuple[str, ...]


def serve_as_worker(settings: Settings, serving: Serving, listening: Sequence[Listening], orders: Connection) -> None:
    """Serve until told to stop, and say through `orders` how it goes. Exits with 1 if it cannot start."""
    signal.set_wakeup_fd(-1)
    numbers = {*END_SIGNALS, *reload_signals()}
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
    try:
        run_in_event_loop(lambda: _serve(settings, serving, listening, orders))
    except StartError as error:
        orders.send(Failed(error.problems))
        sys.exit(1)
    finally:
        end_log()


async def _serve(settings: Settings, serving: Serving, listening: Sequence[Listening], orders: Connection) -> None:
    master = build_master(
        settings,
        listening,
        full=serving.full,
        with_udp=False,
        confdir=serving.confdir,
        more_options=serving.more_options,
    )
    running = asyncio.create_task(master.run())
    await ready_or_ended(master, running)
    if not running.done():
        orders.send(Ready())
        obedience = _Obedience(master, settings, orders)
        asyncio.get_running_loop().add_reader(orders.fileno(), obedience.receive)
    await running


class _Obedience:
    """Does what the process that began this one says, and ends with it."""

    def __init__(self, master: ProxyMaster, settings: Settings, orders: Connection) -> None:
        self._master = master
        self._settings = settings
        self._orders = orders
        self._pieces: list[bytes] = []
        self._stopping: list[asyncio.Task[None]] = []

    def receive(self) -> None:
        """Take one piece of an order: it is small, and comes whole."""
        order: Order
        try:
            self._pieces.append(self._orders.recv_bytes())
            if len(self._pieces[-1]) == _PIECE_BYTES:
                return
            order = pickle.loads(b"".join(self._pieces))  # noqa: S301 - of the process that began this one
            self._pieces.clear()
        except (EOFError, OSError):
            # Nobody is left who could begin another worker, or end this one.
            asyncio.get_running_loop().remove_reader(self._orders.fileno())
            order = Stop(0, self._settings.server.drain_timeout)
        match order:
            case Apply(settings=settings):
                self._settings = settings
                self._master.proxy.apply(settings)
            case Stop(drain_delay=drain_delay, drain_timeout=drain_timeout):
                self._stopping.append(asyncio.create_task(self._master.stop(drain_delay, drain_timeout)))
