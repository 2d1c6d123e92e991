"""Where the proxy connects to: by address, whatever it is called."""

import asyncio
import socket

import pytest
from pydantic import ValidationError

from addon.access.egress import Egress, EgressRefusedError
from addon.configuration.client_settings import EgressSettings


def egress(*allowed, own_ports=()):
    return Egress(allowed or ("public",), lambda: own_ports)


@pytest.fixture
def names(monkeypatch):
    """Names that resolve to what a test says."""
    table = {}
    real = socket.getaddrinfo

    def getaddrinfo(host, port, *args, **more):
        if host not in table:
            return real(host, port, *args, **more)
        answers = table[host]
        answer = answers.pop(0) if isinstance(answers[0], list) else answers
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answer]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return table


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "64:ff9b::8.8.8.8"])
async def test_public_addresses_are_reached(address):
    assert await egress().resolve(address, 443) == address.replace("8.8.8.8", "808:808") if ":" in address else address


PRIVATE = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0.0.0.0",
    "localhost",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "224.0.0.1",
    "239.255.255.250",
    "255.255.255.255",
    "240.0.0.1",
    "::1",
    "::",
    "fe80::1",
    "fc00::1",
    "ff02::1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "2002:a00:1::",
]


@pytest.mark.parametrize("host", PRIVATE)
async def test_other_addresses_are_not_however_they_are_written(host):
    with pytest.raises(EgressRefusedError, match=r"no public network \(setting egress.allow\)") as refused:
        await egress().resolve(host, 443)
    assert (refused.value.status, refused.value.code) == (403, "host_not_allowed")
    assert await egress().refusal(host, 443) == refused.value


@pytest.mark.parametrize(
    ("rules", "host", "allowed"),
    [
        (["public", "private"], "10.0.0.1", True),
        (["private"], "8.8.8.8", False),
        (["private"], "10.0.0.1", True),
        (["public", "10.0.0.0/8"], "10.0.0.1", True),
        (["public", "10.0.0.0/8"], "192.168.0.1", False),
        (["10.0.0.0/8"], "8.8.8.8", False),
        (["10.0.0.1"], "10.0.0.1", True),
        (["fc00::/7"], "fc00::1", True),
        (["*.corp.example"], "db.corp.example", True),
        (["*.corp.example"], "DB.corp.example.", True),
        (["*.corp.example"], "corp.example.evil.example", False),
        (["db.corp.example"], "other.corp.example", False),
        (["public"], "mixed.example", True),
    ],
)
async def test_the_operator_says_where_else_or_where_alone(names, rules, host, allowed):
    names |= {name: ["10.9.9.9"] for name in ("db.corp.example", "DB.corp.example.", "other.corp.example")}
    names |= {"corp.example.evil.example": ["10.9.9.9"], "mixed.example": ["10.9.9.9", "8.8.8.8"]}
    settings = EgressSettings(allow=rules)
    if allowed:
        assert await egress(*settings.allow).resolve(host, 443) not in {"", "10.9.9.9" if "mixed" in host else ""}
    else:
        with pytest.raises(EgressRefusedError):
            await egress(*settings.allow).resolve(host, 443)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "0.0.0.0", "::1", "own-name"])
async def test_the_proxy_itself_is_never_reached_through_it(names, host):
    names["own-name"] = ["127.0.1.1"]
    everything = egress("public", "private", "127.0.0.0/8", "own-name", own_ports={8080, 9464})
    for port in (8080, 9464):
        with pytest.raises(EgressRefusedError, match="that is the proxy itself"):
            await everything.resolve(host, port)
    assert await everything.resolve(host, 8081)


async def test_an_early_verdict_is_remembered_and_the_last_word_is_not(names):
    names["changing.example"] = [["8.8.8.8"], ["10.0.0.1"], ["8.8.8.8"]]
    rules = egress()
    assert await rules.refusal("changing.example", 443) is None
    assert await rules.refusal("changing.example", 443) is None
    with pytest.raises(EgressRefusedError):
        await rules.resolve("changing.example", 443)
    assert await rules.resolve("changing.example", 443) == "8.8.8.8"


async def test_those_who_ask_while_a_name_is_being_resolved_wait_for_the_verdict_too(names):
    names["slow.example"] = ["10.0.0.1"]
    rules = egress()
    assert all(await asyncio.gather(*(rules.refusal("slow.example", 443) for _ in range(3))))


@pytest.mark.parametrize(("host", "refused"), [("8.8.8.8", False), ("10.0.0.1", True), ("nowhere.invalid", False)])
async def test_a_name_that_takes_longer_to_resolve_than_a_verdict_is_kept_gets_one(monkeypatch, host, refused):
    monkeypatch.setattr("addon.access.egress._VERDICT_SECONDS", 0.0)
    assert (await egress().refusal(host, 443) is not None) is refused


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1\0.example.com",
        "127.0.0.1\n.example.com",
        "127.0.0.1 .example.com",
        "a..example.com",
        ".",
        "\ufffd.com",
        f"{'a' * 64}.example.com",
    ],
    ids=ascii,
)
async def test_what_is_no_name_of_a_host_is_refused_whatever_a_resolver_reads_in_it(host):
    """Through SOCKS anything may come as a name. A resolver in C ends it at its first NUL, the pattern does not."""
    allowing = egress("public", "*.example.com", "*.com")
    assert isinstance(await allowing.refusal(host, 443), EgressRefusedError)
    with pytest.raises(EgressRefusedError, match="no name of a host"):
        await allowing.resolve(host, 443)


async def test_names_that_another_proxy_resolves_are_left_to_it():
    assert await egress().refusal("localhost", 443, resolves=False) is None
    assert await egress().refusal("127.0.0.1", 443, resolves=False) is not None


async def test_a_name_that_does_not_resolve_is_no_refusal(names):
    assert await egress().refusal("nowhere.invalid", 443) is None
    with pytest.raises(socket.gaierror):
        await egress().resolve("nowhere.invalid", 443)


@pytest.mark.parametrize("rule", ["http://a.example", "10.0.0.0/99", "10.0.0.1/8", "a b", ""])
def test_a_rule_that_is_none_is_refused(rule):
    with pytest.raises(ValidationError):
        EgressSettings(allow=[rule])
