"""What `claude-proxy run` makes of the settings, and of the proxy that was there before."""

from __future__ import annotations

import pytest

from addon.claude.transport import open_transport
from addon.commands.app_runner import for_one_app, upstream_mode
from addon.configuration.settings import load_settings
from addon.configuration.start_error import StartError
from addon.serving.listening import open_sockets


@pytest.mark.parametrize(
    ("environment", "modes", "options"),
    [
        ({}, ["regular@0"], []),
        ({"HTTPS_PROXY": "http://corp:3128"}, ["upstream:http://corp:3128@0"], []),
        ({"https_proxy": "corp:3128"}, ["upstream:http://corp:3128@0"], []),
        ({"HTTPS_PROXY": "http://me:p%40ss@corp:3128/"}, ["upstream:http://corp:3128@0"], ["upstream_auth=me:p@ss"]),
        ({"HTTPS_PROXY": "http://[fd00::1]:3128"}, ["upstream:http://[fd00::1]:3128@0"], []),
        ({"ALL_PROXY": "http://corp:3128"}, ["upstream:http://corp:3128@0"], []),
        ({"all_proxy": "socks5://ssh:1080", "https_proxy": "corp:3128"}, ["upstream:http://corp:3128@0"], []),
    ],
)
def test_a_proxy_that_was_there_before_stays_in_the_way(environment, modes, options):
    assert upstream_mode(environment) == (modes, options)
    for listening in open_sockets(modes, "127.0.0.1"):  # mitmproxy knows the mode
        listening.close()


@pytest.mark.parametrize(
    ("found", "taken"),
    [
        ("corp:3128", "http://corp:3128"),
        ("http://me:p%40ss@corp:3128", "http://me:p%40ss@corp:3128"),
        ("[fd00::1]:3128", "http://[fd00::1]:3128"),
        ("", None),
    ],
)
def test_the_calls_to_claude_go_through_that_proxy_too(found, taken):
    claude = for_one_app(load_settings({"claude": {"api_key": "k"}}), {"HTTPS_PROXY": found}).claude
    assert claude.proxy == taken
    open_transport(claude, proxy=claude.proxy)


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize("found", ["socks5://corp:1080", "http://corp:99999", "http://:3128", "http://[fd00::1:3128"])
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(name, found):
    with pytest.raises(StartError, match=name) as refused:
        upstream_mode({name: found.replace("://", "://me:secret@")})
    assert "secret" not in str(refused.value)


def test_run_limits_nothing_and_leads_everywhere_unless_asked(clean_environment, monkeypatch):
    alone = for_one_app(load_settings(), {})
    assert (alone.rate_limiting.requests_per_minute, alone.egress.allow) == (0, ("public", "private"))
    monkeypatch.setenv("RATE_LIMIT_REQUESTS", "60")
    monkeypatch.setenv("CLAUDE_PROXY_EGRESS_ALLOW", "public")
    asked = for_one_app(load_settings(), {})
    assert (asked.rate_limiting.requests_per_minute, asked.egress.allow) == (60, ("public",))
