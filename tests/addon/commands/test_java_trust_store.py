"""The trust store for Java: Java's own keytool reads it, and Java's own roots are in it, in both of its formats."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from addon.commands.java_trust_store import PASSWORD, encode_trust_store, java_options, java_roots


def certificate(name):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, now, now + dt.timedelta(days=9))
    return builder.sign(key, hashes.SHA256())


def jks(*certificates):
    """The format as keytool writes it, without the digest at its end, which nobody here reads."""
    body = b"\xfe\xed\xfe\xed" + (2).to_bytes(4) + len(certificates).to_bytes(4)
    for number, each in enumerate(certificates):
        encoded = each.public_bytes(serialization.Encoding.DER)
        alias = f"root{number}".encode()
        body += (2).to_bytes(4) + len(alias).to_bytes(2) + alias + bytes(8) + b"\x00\x05X.509"
        body += len(encoded).to_bytes(4) + encoded
    return body


def java_home(folder, cacerts):
    (folder / "lib/security").mkdir(parents=True)
    (folder / "lib/security/cacerts").write_bytes(cacerts)
    return {"JAVA_HOME": str(folder)}


def names(roots):
    return [root.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value for root in roots]


def test_roots_are_read_from_the_older_format(tmp_path):
    environment = java_home(tmp_path, jks(certificate("one"), certificate("two")))
    assert names(java_roots(environment)) == ["one", "two"]


def test_roots_are_read_from_the_newer_format(tmp_path):
    written = encode_trust_store(certificate("one").public_bytes(serialization.Encoding.PEM), {"PATH": ""})
    assert names(java_roots(java_home(tmp_path, written))) == ["one"]


@pytest.mark.parametrize("cacerts", [b"", b"nonsense", b"\xfe\xed\xfe\xed\x00\x00\x00\x02\x00\x00\x00\x09"])
def test_a_list_of_roots_that_cannot_be_read_is_left_out(tmp_path, cacerts):
    assert java_roots(java_home(tmp_path, cacerts)) == []


@pytest.mark.skipif(shutil.which("keytool") is None, reason="there is no Java on this machine")
def test_java_reads_the_store(tmp_path):
    store = tmp_path / "trust.p12"
    bundle = certificate("our authority").public_bytes(serialization.Encoding.PEM)
    store.write_bytes(encode_trust_store(bundle, os.environ))
    command = ["keytool", "-list", "-v", "-keystore", str(store), "-storepass", PASSWORD, "-storetype", "PKCS12"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "CN=our authority" in listed
    assert listed.count("Entry type: trustedCertEntry") == 1 + len(java_roots(os.environ))


def test_a_path_with_a_blank_is_one_option(tmp_path):
    options = java_options("127.0.0.1", 5000, tmp_path / "a b" / "trust.p12")
    assert f'"-Djavax.net.ssl.trustStore={tmp_path}/a b/trust.p12"' in options
