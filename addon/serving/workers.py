"""Several processes that serve on the same ports: started, watched, started again when they die, told to end.

The process that runs this serves nothing. It holds what all workers share: the sockets (`addon.serving.listening`), the
certificate authority, the secret, the settings. It has imported all that serves, so that a worker, which is a fork of
it, takes a tenth of a second to start and shares its memory; so it must never have an event loop or a second thread.
"""

import contextlib
import gc
import multiprocessing
import select
import selectors
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from pathlib import Path

import structlog
from mitmproxy import exceptions
from mitmproxy.certs import CertStore
from mitmproxy.options import CONF_BASENAME, Options

from addon.configuration.settings import Settings
from addon.configuration.start_error import StartError
from addon.interception.reload import Reloader
from addon.observation.exporter_process import ExporterBeside
from addon.observation.logs import configure_logging, share_log
from addon.serving.listening import Listener, Listening, open_sockets
from addon.serving.serve import END_SIGNALS, Serving, announce, reload_signals
from addon.serving.worker import Apply, Failed, Order, Ready, Stop, encode_order, serve_as_worker
from addon.storage.sqlite_store import IN_MEMORY
from addon.storage.state_folder import share_secret

__all__ = ["Workers"]

_SETTLED_SECONDS = 10.0
"""A worker that lived so long is started again at once."""
_FIRST_BACKOFF_SECONDS = 0.5
_LONGEST_BACKOFF_SECONDS = 30.0
_PATIENCE_SECONDS = 2.0
"""How long connections may wait for a worker to be started again; for longer, its share goes to the others."""
_KILL_SECONDS = 10.0
"""How long after the time to drain a worker may take to end by itself."""
_LOOK_SECONDS = 1.0
_FORK = multiprocessing.get_context("fork")

log = structlog.get_logger(__name__)


@dataclass(eq=False)
class Worker:
    """One place among the workers, and the process that has it."""

    number: int
    listening: list[Listening]
    process: ForkProcess | None = None
    orders: Connection | None = None
    is_ready: bool = False
    began_at: float = 0.0
    early_ends: int = 0
    """How often in a row it ended soon after its start."""
    begins_at: float | None = None
    """When it is to be started again."""
    untold: Order | None = None
    """The last order, while the worker takes none."""
    unsent: deque[bytes] = field(default_factory=deque)
    """What is left of the order that it is being told."""


class Workers:
    """The workers of one `serve`.

    Args:
        settings: checked: they have a key.
        serving: where and how to serve.
        reread: reads the settings again from where they came from.
        exporter: is begun again when it ends.

    Raises:
        StartError: an address cannot be taken, or a mode or the store cannot be shared.
    """

    def __init__(
        self,
        settings: Settings,
        serving: Serving,
        reread: Callable[[], Settings],
        exporter: ExporterBeside | None = None,
    ) -> None:
        if settings.store.redis_url is None and str(settings.store.path) == IN_MEMORY:
            raise StartError(["store.path is :memory:, which several workers cannot share: name a file, or Redis."])
        settings = settings.model_copy(update={"store": share_secret(settings.store)})
        _make_authority(serving)
        for alone in open_sockets(serving.modes, settings.server.host):
            # Sockets that are shared would also share the port of another proxy, without a word.
            alone.close()
        first = open_sockets(serving.modes, settings.server.host, shared=True)
        self._serving = replace(serving, modes=tuple(each.mode for each in first))
        self._host = settings.server.host
        self._exporter = exporter
        self._reloader = Reloader(settings, lambda: _with_store_of(settings, reread()), self._apply)
        others = [self._open() for _ in range(settings.server.workers - 1)]
        self._workers = [Worker(number, listening) for number, listening in enumerate([first, *others])]
        self._listeners = [Listener(each.mode, *each.sockets[0].getsockname()[:2]) for each in first]
        self._is_announced = False
        self._stops = 0
        self._kill_at = float("inf")

    def run(self) -> int:
        """Serve until a signal ends it. Returns the exit status: 1 if a worker had to be killed.

        Raises:
            StartError: the workers cannot start.
        """
        status = 0
        share_log()
        # What is here already is never collected, so that its memory stays shared.
        gc.freeze()
        with _received_signals() as received:
            for worker in self._workers:
                self._begin(worker)
            try:
                while self._living() or not self._stops:
                    self._wait(received)
                    if self._stops and time.monotonic() > self._kill_at:
                        status = 1
                        for worker in self._living():
                            log.error("worker_killed", worker=worker.number)
                        self._kill()
            finally:
                self._kill()
        return status

    def _living(self) -> list[Worker]:
        return [worker for worker in self._workers if worker.process is not None]

    def _wait(self, received: socket.socket) -> None:
        """Wait for what comes next, and see to it."""
        with selectors.PollSelector() as selector:  # it needs no descriptor, of which there may be none
            selector.register(received, selectors.EVENT_READ)
            if self._exporter is not None:
                selector.register(self._exporter, selectors.EVENT_READ, self._exporter)
            for worker in self._living():
                if worker.orders is not None:
                    is_owed = worker.unsent or worker.untold is not None
                    awaited = selectors.EVENT_READ | (selectors.EVENT_WRITE if is_owed else 0)
                    selector.register(worker.orders, awaited, worker)
            found = selector.select(self._seconds_to_wait())
        for key, events in found:
            if key.data is None:
                for number in received.recv(64):
                    self._on_signal(signal.Signals(number))
                continue
            if isinstance(key.data, ExporterBeside):
                if self._stops or not key.data.begin_again():
                    self._exporter = None
                continue
            if events & selectors.EVENT_WRITE:
                self._tell_untold(key.data)
            if events & selectors.EVENT_READ:
                self._receive(key.data)
        if self._stops:
            return
        now = time.monotonic()
        for worker in self._workers:
            if worker.begins_at is not None and worker.begins_at <= now:
                self._begin(worker)
        self._reloader.reload_if_changed()

    def _seconds_to_wait(self) -> float:
        begins = [worker.begins_at for worker in self._workers if worker.begins_at is not None]
        return max(0.0, min([time.monotonic() + _LOOK_SECONDS, self._kill_at, *begins]) - time.monotonic())

    def _on_signal(self, number: signal.Signals) -> None:
        if number in END_SIGNALS:
            self._stop()
        elif not self._stops:
            self._reloader.reload()

    def _receive(self, worker: Worker) -> None:
        assert worker.orders is not None  # noqa: S101 - for the type checker
        try:
            message = worker.orders.recv()
        except (EOFError, OSError):
            self._end(worker)
            return
        match message:
            case Ready():
                worker.is_ready = True
                if not self._is_announced and all(each.is_ready for each in self._workers):
                    self._is_announced = True
                    announce(self._listeners, self._reloader.settings)
            case Failed(problems=problems) if not self._is_announced:
                raise StartError(problems)
            case Failed(problems=problems):
                for problem in problems:
                    log.error("worker_not_started", worker=worker.number, detail=problem)

    # The life of a worker.

    def _begin(self, worker: Worker) -> None:
        worker.begins_at = None
        if not worker.listening:
            try:
                worker.listening = self._open()
            except StartError as error:
                log.error("worker_not_started", worker=worker.number, detail=str(error))  # noqa: TRY400 - a sentence
                self._begin_later(worker)
                return
        try:
            self._fork(worker)
        except OSError as error:
            # No descriptor, process or memory is left for it: the others go on.
            self._forget(worker)
            worker.early_ends += 1
            detail = f"It cannot be forked: {error.strerror}."
            log.error("worker_not_started", worker=worker.number, detail=detail)  # noqa: TRY400 - a sentence
            self._begin_later(worker)

    def _fork(self, worker: Worker) -> None:
        sys.stdout.flush()
        worker.orders, theirs = multiprocessing.Pipe()
        with theirs, _blocked_signals():
            process = _FORK.Process(target=self._serve, args=(worker, theirs), name=f"worker {worker.number}")
            process.start()
        worker.process = process
        worker.began_at = time.monotonic()

    def _serve(self, worker: Worker, orders: Connection) -> None:
        """Be the worker: in the fork."""
        for each in self._workers:
            # An end that a sibling holds would never look closed.
            if each.orders is not None:
                each.orders.close()
            if each is not worker:
                self._close(each)
        serve_as_worker(self._reloader.settings, self._serving, worker.listening, orders)

    def _open(self) -> list[Listening]:
        return open_sockets(self._serving.modes, self._host, shared=True)

    def _end(self, worker: Worker) -> None:
        """Note that a worker has ended; it is started again, unless all are to end."""
        assert worker.process is not None  # noqa: S101 - for the type checker
        worker.process.join(_KILL_SECONDS)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        status = worker.process.exitcode
        self._forget(worker)
        if self._stops:
            return
        lived = time.monotonic() - worker.began_at
        worker.early_ends = 0 if lived > _SETTLED_SECONDS else worker.early_ends + 1
        seconds = self._begin_later(worker)
        log.error("worker_ended", worker=worker.number, status=status, lived=round(lived, 3), starts_again_in=seconds)

    def _begin_later(self, worker: Worker) -> float:
        seconds = 0.0
        if worker.early_ends:
            seconds = min(_FIRST_BACKOFF_SECONDS * 2.0 ** (worker.early_ends - 1), _LONGEST_BACKOFF_SECONDS)
        if seconds > _PATIENCE_SECONDS:
            self._close(worker)
        worker.begins_at = time.monotonic() + seconds
        return seconds

    @staticmethod
    def _forget(worker: Worker) -> None:
        if worker.orders is not None:
            worker.orders.close()
        if worker.process is not None:
            worker.process.close()
        worker.process = worker.orders = worker.untold = None
        worker.unsent.clear()
        worker.is_ready = False

    @staticmethod
    def _close(worker: Worker) -> None:
        for listening in worker.listening:
            listening.close()
        worker.listening = []

    # All of them.

    def _apply(self, settings: Settings) -> None:
        configure_logging(settings.logging.level, settings.logging.format)
        self._tell(Apply(settings))

    def _tell(self, order: Order) -> None:
        for worker in self._living():
            worker.untold = order
            self._tell_untold(worker)

    @staticmethod
    def _tell_untold(worker: Worker) -> None:
        """Tell it as much as it takes: whoever waited for one that hangs would watch and end nothing any more.

        An order takes the place of the one before, unless that is on its way.
        """
        if worker.orders is None:
            return
        poll = select.poll()
        poll.register(worker.orders, select.POLLOUT)
        while poll.poll(0):  # Linux says so while three quarters are free, many times what a piece takes
            if not worker.unsent and worker.untold is not None:
                worker.unsent.extend(encode_order(worker.untold))
                worker.untold = None
            if not worker.unsent:
                return
            try:
                worker.orders.send_bytes(worker.unsent.popleft())
            except OSError:  # it has just ended
                worker.unsent.clear()
                return

    def _stop(self) -> None:
        server = self._reloader.settings.server
        waits = (0.0, 0.0) if self._stops else (server.drain_delay, server.drain_timeout)
        self._stops += 1
        self._kill_at = time.monotonic() + sum(waits) + _KILL_SECONDS
        for worker in self._workers:
            # What waits there must be refused when the workers refuse.
            self._close(worker)
            worker.begins_at = None
        self._tell(Stop(*waits))

    def _kill(self) -> None:
        for worker in self._living():
            if worker.process is not None:
                worker.process.kill()
                worker.process.join()
            self._forget(worker)
        for worker in self._workers:
            self._close(worker)


def _make_authority(serving: Serving) -> None:
    """Make the certificate authority, which workers that start at the same time would each make."""
    options = Options()
    try:
        options.set(*serving.more_options, defer=True)
    except exceptions.OptionsError as error:
        raise StartError([str(error)]) from error
    folder = serving.confdir or Path(options.confdir).expanduser()
    passphrase = options.cert_passphrase.encode() if options.cert_passphrase else None
    try:
        CertStore.from_store(folder, CONF_BASENAME, options.key_size, passphrase)
    except (OSError, ValueError, TypeError) as error:
        raise StartError([f"The certificate authority in {folder} cannot be read: {error}."]) from error


def _with_store_of(settings: Settings, new: Settings) -> Settings:
    """Keep a secret that was made for this run: it is no change of the operator's."""
    if new.store.secret is None and new.store == settings.store.model_copy(update={"secret": None}):
        return new.model_copy(update={"store": settings.store})
    return new


@contextlib.contextmanager
def _received_signals() -> Iterator[socket.socket]:
    """Give a socket from which the numbers of the signals that come can be read."""
    receiving, sending = socket.socketpair()
    sending.setblocking(False)
    numbers = (*END_SIGNALS, *reload_signals())
    with receiving, sending:
        before = signal.set_wakeup_fd(sending.fileno())
        for number in numbers:
            signal.signal(number, lambda _number, _frame: None)
        try:
            yield receiving
        finally:
            for number in numbers:
                # The process is ending: a signal that comes now must not change its exit status.
                signal.signal(number, signal.SIG_IGN)
            signal.set_wakeup_fd(before)


@contextlib.contextmanager
def _blocked_signals() -> Iterator[None]:
    """Have a process that is started inside begin with these signals blocked: it would tell them to its parent."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*END_SIGNALS, *reload_signals()})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
