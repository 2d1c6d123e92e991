"""What `claude-proxy run` gives to an app: variables, certificates, and the proxy that was there before."""

from __future__ import annotations

from pathlib import Path

import pytest

from addon.claude.client import open_transport
from addon.commands.app_environment import PLACEHOLDER_KEY, app_environment, ca_bundle
from addon.commands.app_runner import for_one_app, upstream_mode
from addon.configuration.settings import load_settings
from addon.configuration.start_error import StartError
from addon.serving.listening import open_sockets

PROXY = "http://127.0.0.1:5000"
CA, BUNDLE = Path("/x/ca.pem"), Path("/x/bundle.pem")


def test_the_app_gets_the_proxy_and_the_certificates_of_each_runtime():
    environment = app_environment({"PATH": "/bin"}, PROXY, CA, BUNDLE)
    assert environment == {
        "PATH": "/bin",
        "OPENAI_API_KEY": PLACEHOLDER_KEY,
        "HTTPS_PROXY": PROXY,
        "https_proxy": PROXY,
        "http_proxy": PROXY,
        "NO_PROXY": "localhost,127.0.0.1,::1",
        "no_proxy": "localhost,127.0.0.1,::1",
        "NODE_USE_ENV_PROXY": "1",
        "SSL_CERT_FILE": str(BUNDLE),
        "REQUESTS_CA_BUNDLE": str(BUNDLE),
        "CURL_CA_BUNDLE": str(BUNDLE),
        "NODE_EXTRA_CA_CERTS": str(CA),
        "DENO_CERT": str(CA),
        "CODEX_CA_CERTIFICATE": str(CA),
        "JAVA_TOOL_OPTIONS": "-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=5000 "
        "-Dhttp.nonProxyHosts=localhost|127.*|[::1] -Djavax.net.ssl.trustStore=/x/java-trust-store.p12 "
        "-Djavax.net.ssl.trustStoreType=PKCS12 -Djavax.net.ssl.trustStorePassword=changeit",
    }


def test_what_the_user_has_set_is_kept():
    own = {"OPENAI_API_KEY": "sk-mine", "no_proxy": "intranet, localhost", "NODE_EXTRA_CA_CERTS": "/corporate.pem"}
    environment = app_environment(own, PROXY, CA, BUNDLE)
    assert environment["OPENAI_API_KEY"] == "sk-mine"
    assert environment["NO_PROXY"] == "intranet,localhost,127.0.0.1,::1"
    assert environment["NODE_EXTRA_CA_CERTS"] == str(BUNDLE), "the bundle holds the user's own roots as well"


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({"HTTPS_PROXY": "http://corp:3128"}, PROXY),
        ({"HTTPS_PROXY": "http://corp:3128", "HTTP_PROXY": "http://corp:3128"}, PROXY),
        ({"HTTP_PROXY": "http://corp:3128"}, None),
        ({"https_proxy": "http://corp:3128", "http_proxy": "http://plain:3128"}, "http://plain:3128"),
        ({"ALL_PROXY": "http://corp:3128"}, PROXY),
        ({"all_proxy": "http://corp:3128", "http_proxy": "http://corp:3128"}, PROXY),
    ],
    ids=["https_alone", "one_for_both", "http_alone", "two", "all", "all_and_http"],
)
def test_plain_http_goes_through_the_proxy_unless_it_has_one_of_its_own(own, expected):
    assert app_environment(own, PROXY, CA, BUNDLE).get("http_proxy") == expected


def test_the_bundle_holds_the_systems_the_users_and_our_roots_once(tmp_path):
    ours, corporate = tmp_path / "ours.pem", tmp_path / "corporate.pem"
    ours.write_text("OUR ROOT")
    corporate.write_text("CORPORATE ROOT")
    bundle = ca_bundle({"NODE_EXTRA_CA_CERTS": str(corporate), "SSL_CERT_FILE": str(corporate)}, ours).decode()
    assert bundle.count("OUR ROOT") == bundle.count("CORPORATE ROOT") == 1
    assert "BEGIN CERTIFICATE" in bundle


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
