"""What `claude-proxy run` sets for an app: variables and certificates."""

from __future__ import annotations

from pathlib import Path

import pytest

from addon.commands.app_environment import PLACEHOLDER_KEY, app_environment, ca_bundle

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
