"""Structured logs: one JSON object (or one line for people) per event on standard output, with secrets removed.

Our own events go straight to standard output. Records of mitmproxy and the SDK come through the standard library and
are rendered the same way where the process is ours; inside mitmdump and mitmweb, mitmproxy's own log prints them.
Inside mitmproxy's console interface the screen is taken, so our events go to its event log instead.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, Any, override

import msgspec
import structlog

from addon.observation.line_output import LineOutput
from addon.observation.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from structlog.typing import EventDict, Processor, WrappedLogger

__all__ = ["CONNECTION_LOGGERS", "NOISY_LOGGERS", "configure_logging", "end_log", "share_log"]

NOISY_LOGGERS = (
    *("aiohttp", "anthropic", "asyncio", "boto3", "botocore", "google.auth", "hpack"),
    *("httpcore", "httpcore2", "httpx", "httpx2", "urllib3"),
)
"""Loggers whose debug records hold whole bodies: mitmproxy's root logger is at DEBUG, so they would format each one."""

CONNECTION_LOGGERS = ("mitmproxy.proxy.mode_servers", "mitmproxy.proxy.server")
"""One record per listener, and per connection opened and closed: of use at DEBUG only, where the process is ours."""

_UNFINISHED_HANDSHAKE = "before completing SOCKS5 handshake"
"""mitmproxy quotes what has come of it, which may be a password."""

_TERMINAL_LOG, _EVENT_LOG = "mitmproxy.addons.termlog", "mitmproxy.addons.eventstore"
"""Known by their names: an import of one brings all of mitmproxy's addons with it."""

_COMMANDS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Characters that a terminal obeys instead of showing them, but for tabs and the line breaks of tracebacks."""
_ENCODER = msgspec.json.Encoder(enc_hook=str)


def configure_logging(level: str, format: str) -> None:  # noqa: A002 - the setting is called logging.format
    """Set up structlog and the standard library's loggers; called again, it replaces what it set up before.

    `level` is a name of the standard library's (`INFO`), `format` is `json` or `console`.
    """
    threshold = logging.getLevelNamesMapping()[level.upper()]
    for name in NOISY_LOGGERS:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))
    logging.getLogger("mitmproxy.proxy.server").addFilter(_cut_handshake)
    _configure_standard_library(threshold, format)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *_final_processors(format),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=_EventLog if _screen_is_taken() else _StandardOutput,
        # Options may change while the proxy runs, and a cached logger would keep the old level.
        cache_logger_on_first_use=False,
    )


def share_log() -> None:
    """Have the processes that are forked from now on write their lines one after the other."""
    _output.share()


def end_log() -> None:
    """Wait, but not for long, until the reader of the log has all lines: what a forked process does at its end."""
    _output.end()


def _render_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    try:
        return _ENCODER.encode(event).decode()
    except (UnicodeEncodeError, TypeError, ValueError):
        # A lone surrogate or an exotic number in one value must not lose the line.
        return _ENCODER.encode({name: ascii(value) for name, value in event.items()}).decode()


def _escape_commands(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape in text what a terminal would obey: a model's name is whatever a client says."""
    return {name: _COMMANDS.sub(_escape, value) if isinstance(value, str) else value for name, value in event.items()}


def _leave_out_empty(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Leave out what holds nothing: programs want all fields in each line, people those that say something."""
    return {name: value for name, value in event.items() if value is not None and value != []}


def _escape(found: re.Match[str]) -> str:
    return ascii(found[0])[1:-1]


def _final_processors(format: str) -> list[Processor]:  # noqa: A002 - the setting is called logging.format
    # `format_exc_info` renders plain tracebacks: local variables, which hold keys and prompts, never appear.
    # It runs before `redact`, so that exception text is masked as well.
    renderers: list[Processor] = [_render_json]
    if format == "console":
        console = structlog.dev.ConsoleRenderer(
            colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        renderers = [_leave_out_empty, _escape_commands, console]
    return [structlog.processors.format_exc_info, redact, *renderers]


def _tell_lost(lines: int) -> None:
    structlog.get_logger(__name__).warning("log_lines_lost", lines=lines)


_output = LineOutput(_tell_lost)


class _StandardOutput:
    """The end of our own events."""

    def __init__(self, *_names: object) -> None:
        pass

    def msg(self, message: str) -> None:
        """Write one line, whole and at once."""
        _output.write(message)

    debug = info = warning = error = critical = exception = fatal = log = msg


class _EventLog:
    """The end of our own events while mitmproxy's console interface owns the screen."""

    def __init__(self, *_names: object) -> None:
        self._logger = logging.getLogger("claude_proxy")

    def __getattr__(self, method: str) -> Callable[[str], None]:
        return getattr(self._logger, method)  # type: ignore[no-any-return] # the methods of logging.Logger


class _StructuredHandler(logging.StreamHandler[Any]):
    """Renders records of other packages like our own events, to wherever standard output points at that moment."""

    def __init__(self) -> None:
        super().__init__(sys.stdout)

    @override
    def emit(self, record: logging.LogRecord) -> None:
        _output.write(self.format(record))


def _configure_standard_library(threshold: int, format: str) -> None:  # noqa: A002 - the setting is called logging.format
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _StructuredHandler)]:
        root.removeHandler(handler)
    if _mitmproxy_prints() or _screen_is_taken():
        return
    root.setLevel(threshold)
    for name in CONNECTION_LOGGERS:
        logging.getLogger(name).setLevel(threshold if threshold <= logging.DEBUG else max(threshold, logging.WARNING))
    handler = _StructuredHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_logger_name,
                structlog.stdlib.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
            processors=[_drop_meta, *_final_processors(format)],
        )
    )
    root.addHandler(handler)


def _cut_handshake(record: logging.LogRecord) -> bool:
    if isinstance(record.msg, str) and _UNFINISHED_HANDSHAKE in record.msg:
        record.msg = record.msg.partition(": ")[0]
    return True


def _drop_meta(_logger: WrappedLogger, _method: str, event: MutableMapping[str, Any]) -> EventDict:
    return {name: value for name, value in event.items() if name not in ("_record", "_from_structlog")}


def _mitmproxy_prints() -> bool:
    """Whether this is mitmdump or mitmweb, whose own handler prints the standard library's records."""
    return _has_handler_of(_TERMINAL_LOG)


def _screen_is_taken() -> bool:
    """Whether this is mitmproxy's console interface: it keeps an event log and prints nothing."""
    return not _mitmproxy_prints() and _has_handler_of(_EVENT_LOG)


def _has_handler_of(module: str) -> bool:
    return any(type(handler).__module__ == module for handler in logging.getLogger().handlers)
