"""What the log says of a failure's cause: enough to find it, and nothing that an exception's text may hold."""

import asyncio
import errno
import socket
import ssl
from itertools import pairwise

import aiohttp
import httpx2
import pytest

from addon.claude.body import UpstreamBrokenError
from addon.claude.failed_try import FailedTryError
from addon.claude.failure_cause import cause_of
from translators.errors import OpenAIError

SECRET = "http://me:password@10.0.0.1"


def chained(*errors: BaseException) -> BaseException:
    """Make each error the cause of the one before."""
    for error, cause in pairwise(errors):
        error.__cause__ = cause
    return errors[0]


def unverified(message: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, SECRET)
    error.verify_message = message
    return error


@pytest.mark.parametrize(
    ("errors", "cause"),
    [
        ((), None),
        ((FailedTryError(None, 0),), None),
        ((httpx2.ConnectError(SECRET),), "ConnectError"),
        (
            (httpx2.ConnectError(SECRET), ConnectionRefusedError(errno.ECONNREFUSED, SECRET)),
            REFUSED := ("ConnectionRefusedError: Connection refused"),
        ),
        ((FailedTryError(None, 0), httpx2.ConnectError(SECRET), OSError(errno.ECONNREFUSED, SECRET)), REFUSED),
        ((OSError(SECRET),), "OSError"),
        ((socket.gaierror(-2, "Name or service not known"),), "gaierror: Name or service not known"),
        ((unverified("self-signed certificate"),), "SSLCertVerificationError: self-signed certificate"),
        (
            (unverified("Hostname mismatch, certificate is not valid for 'secret.host'."),),
            "SSLCertVerificationError: Hostname mismatch",
        ),
        ((ssl.SSLError(1, SECRET),), "SSLError"),
        ((httpx2.ReadTimeout(SECRET), TimeoutError(), asyncio.CancelledError()), "ReadTimeout"),
        ((TimeoutError(SECRET),), None),
        ((aiohttp.ClientPayloadError(SECRET),), "ClientPayloadError"),
        ((UpstreamBrokenError("Claude's answer was empty"),), "UpstreamBrokenError: Claude's answer was empty"),
    ],
)
def test_the_cause_is_the_last_one_without_its_text_unless_that_is_the_systems(
    errors: tuple[BaseException, ...], cause: str | None
) -> None:
    error = OpenAIError(502, "Claude could not be reached.", "server_error", "upstream_unreachable")
    assert cause_of(chained(error, *errors)) == cause


def test_errors_that_are_each_others_cause_come_to_an_end() -> None:
    one, other = RuntimeError(), httpx2.ConnectError("")
    one.__cause__, other.__cause__ = other, one
    assert cause_of(one) in ("ConnectError", "RuntimeError")


def test_no_error_has_no_cause() -> None:
    assert cause_of(None) is None
