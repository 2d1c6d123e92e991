"""The sockets that are opened before mitmproxy: their ports, their addresses, and what is said where there are none."""

from __future__ import annotations

import socket

import pytest

from addon.configuration.start_error import StartError
from addon.serving.listening import open_sockets


@pytest.fixture
def opened():
    listening = []
    yield listening.extend
    for each in listening:
        each.close()


def addresses(listening):
    return [each.getsockname()[:2] for each in listening.sockets]


def test_each_mode_with_port_0_gets_a_port_of_its_own_that_its_name_says(opened):
    listening = open_sockets(["regular@0", "socks5@0", "reverse:http://x.invalid@127.0.0.1:0"], "127.0.0.1")
    opened(listening)
    ports = [port for each in listening for _, port in addresses(each)]
    assert len(set(ports)) == 3
    assert [each.mode for each in listening] == [
        f"regular@{ports[0]}",
        f"socks5@{ports[1]}",
        f"reverse:http://x.invalid@127.0.0.1:{ports[2]}",
    ]


def test_a_mode_keeps_the_address_that_it_names(opened):
    listening = open_sockets(["regular@127.0.0.2:0"], "127.0.0.1")
    opened(listening)
    assert addresses(listening[0])[0][0] == "127.0.0.2"


def test_shared_sockets_have_one_port_and_can_be_opened_again(opened):
    first = open_sockets(["regular@0"], "127.0.0.1", shared=True)
    second = open_sockets([first[0].mode], "127.0.0.1", shared=True)
    opened([*first, *second])
    assert addresses(first[0]) == addresses(second[0])


def test_modes_without_tcp_open_their_own(opened):
    listening = open_sockets(["wireguard@51999", "local:app"], "127.0.0.1")
    assert [each.sockets for each in listening] == [(), ()]


def test_all_that_is_wrong_is_said_at_once_and_nothing_stays_open():
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as free:
        port, spare = taken.getsockname()[1], free.getsockname()[1]
        free.close()
        with pytest.raises(StartError) as refused:
            open_sockets([f"regular@{spare}", "sideways", f"socks5@{port}", "regular@host.invalid:1"], "127.0.0.1")
        with socket.create_server(("127.0.0.1", spare)):
            pass
    assert refused.value.problems[:2] == (
        "--mode sideways: unknown mode.",
        f"Cannot listen on 127.0.0.1:{port}: address already in use.",
    )
    assert refused.value.problems[2].startswith("Cannot listen on host.invalid:1: ")
