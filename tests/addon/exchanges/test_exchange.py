"""What an exchange shows of itself."""

from typing import Any, cast

from mitmproxy.test import tflow

from addon.access.access import Client
from addon.exchanges.exchange import Exchange
from addon.routing import Claim, Endpoint


def test_its_text_holds_no_secret():
    nothing = cast("Any", None)
    secrets = ((b"authorization", b"Bearer of-the-client"),)
    exchange = Exchange(
        tflow.tflow(),
        Claim(Endpoint.HEALTH),
        nothing,
        authorization="Bearer of-the-client",
        client=Client("address:127.0.0.1"),
        secrets=secrets,
        body=b"a prompt",
    )
    assert "of-the-client" not in repr(exchange)
    assert "a prompt" not in repr(exchange)
