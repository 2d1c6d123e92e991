"""Which of mitmproxy's modes other machines can reach."""

import pytest

from addon.access.reachability import listens_beyond_loopback, proxies_beyond_loopback


@pytest.mark.parametrize(
    ("modes", "host", "beyond"),
    [
        (["reverse:http://a.invalid@8000"], "127.0.0.1", False),
        (["reverse:http://a.invalid@8000"], "::1", False),
        (["reverse:http://a.invalid@8000"], "localhost", False),
        (["reverse:http://a.invalid@8000"], "", True),
        (["reverse:http://a.invalid@0.0.0.0:8000"], "127.0.0.1", True),
        (["reverse:http://a.invalid@127.0.0.1:8000"], "0.0.0.0", False),
        (["regular@0.0.0.0:8080", "reverse:http://a.invalid@127.0.0.1:8000"], "", False),
        (["reverse:http://a.invalid@8000"], "some-name", True),
    ],
)
def test_it_is_known_which_listeners_other_machines_can_reach(modes, host, beyond):
    assert listens_beyond_loopback(modes, host) is beyond


@pytest.mark.parametrize(
    ("modes", "host", "beyond"),
    [
        (["regular"], "", True),
        (["regular"], "127.0.0.1", False),
        (["regular@127.0.0.1:8080"], "", False),
        (["socks5@0.0.0.0:1080"], "127.0.0.1", True),
        (["upstream:http://corp:3128"], "", True),
        (["reverse:http://standalone.claude-proxy.invalid@8000"], "", False),
        (["local", "wireguard"], "", False),
    ],
    ids=str,
)
def test_a_proxy_that_other_machines_can_reach_is_known(modes, host, beyond):
    assert proxies_beyond_loopback(modes, host) is beyond
