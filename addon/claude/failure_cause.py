"""Why something was out of reach, for the log: what failed in the end, in words that hold nothing of anybody's.

The texts of exceptions name addresses, and now and then a password or what was received. So only texts are told that
the system, OpenSSL or this project made.
"""

import asyncio
import os
import socket
import ssl

import aiohttp
import anthropic

from addon.claude.body import UpstreamBrokenError
from addon.claude.failed_try import FailedTryError
from translators.errors import OpenAIError

__all__ = ["cause_of"]

_TELL_NOTHING = (OpenAIError, FailedTryError)
"""What was made of a failure, for the client and for the next try."""
_ENDED_WAITS = (TimeoutError, asyncio.CancelledError)
"""How a time limit ends a wait; the error that was made of it says which wait."""
_DEEPEST = 20
"""Nothing keeps exceptions from being each other's cause."""


def cause_of(error: BaseException | None) -> str | None:
    """Name what an error was raised from, in the end: `ConnectionRefusedError: Connection refused`, or a class alone.

    None if it was raised from nothing.
    """
    found = None
    for _ in range(_DEEPEST):
        error = error and error.__cause__
        if error is None or type(error) in _ENDED_WAITS:
            break
        if not isinstance(error, _TELL_NOTHING):
            found = error
    if found is None:
        return None
    text = _text_of(found)
    return f"{type(found).__name__}: {text}" if text else type(found).__name__


def _text_of(error: BaseException) -> str | None:
    match error:
        case ssl.SSLCertVerificationError(verify_message=str(message)):
            # "Hostname mismatch, certificate is not valid for 'the.host'."
            return message.partition(", certificate is not valid for")[0]
        case ssl.SSLError():
            return getattr(error, "reason", None)
        case socket.gaierror():
            return error.strerror
        case OSError(errno=int(number)):
            return os.strerror(number)
        case UpstreamBrokenError():
            return str(error)
        case anthropic.APIStatusError(status_code=status) | aiohttp.ClientHttpProxyError(status=status):
            return f"status {status}"
        case _:
            return None
