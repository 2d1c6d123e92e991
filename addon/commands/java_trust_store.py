"""The trust store of a Java app: the roots that it would trust without us, and the proxy's certificate authority.

Java reads neither PEM files nor variables for them; what it can be told is a file of its own kind. Its own roots are in
`lib/security/cacerts` of each installation, as PKCS #12 or in the older form JKS.
"""

import os
import re
import shutil
import ssl
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
from cryptography.utils import CryptographyDeprecationWarning

__all__ = ["PASSWORD", "encode_trust_store", "java_options", "java_roots"]

PASSWORD = "changeit"  # noqa: S105 - the one that every Java expects; there is nothing secret in a list of roots
_JKS = b"\xfe\xed\xfe\xed\x00\x00\x00\x02"
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
_TRUSTED = 2
"""Tag of an entry that is a certificate. The others hold keys, and no list of roots has any."""


def java_options(host: str, port: int, trust_store: Path) -> str:
    """Say to a Java app which proxy to use and which file to trust, as `JAVA_TOOL_OPTIONS`."""
    properties = {
        "https.proxyHost": host,
        "https.proxyPort": str(port),
        "http.nonProxyHosts": "localhost|127.*|[::1]",
        "javax.net.ssl.trustStore": str(trust_store),
        "javax.net.ssl.trustStoreType": "PKCS12",
        "javax.net.ssl.trustStorePassword": PASSWORD,
    }
    options = (f"-D{name}={value}" for name, value in properties.items())
    # The variable is split at blanks unless they are quoted.
    return " ".join(f'"{option}"' if " " in option else option for option in options)


def encode_trust_store(bundle: bytes, environment: Mapping[str, str]) -> bytes:
    """Encode a PKCS #12 file of the certificates of a PEM bundle and of the environment's Java."""
    roots = dict.fromkeys([*_read_pem(bundle), *java_roots(environment)])
    entries = [pkcs12.PKCS12Certificate(root, f"root {number}".encode()) for number, root in enumerate(roots)]
    return pkcs12.serialize_java_truststore(entries, BestAvailableEncryption(PASSWORD.encode()))


def java_roots(environment: Mapping[str, str]) -> list[x509.Certificate]:
    """Read the roots of the Java that the environment would start; none where there is no Java, or no such list."""
    home = environment.get("JAVA_HOME")
    command = shutil.which("java", path=environment.get("PATH", os.defpath))
    homes = [Path(home)] if home else [Path(command).resolve().parents[1]] if command else []
    for each in homes:
        try:
            return _read_roots((each / "lib/security/cacerts").read_bytes())
        except (OSError, ValueError):
            continue
    return []


def _read_roots(data: bytes) -> list[x509.Certificate]:
    if data.startswith(_JKS):
        return list(_read_jks(data))
    for password in (PASSWORD.encode(), None):
        try:
            found = pkcs12.load_pkcs12(data, password)
        except ValueError:
            continue
        return [entry.certificate for entry in found.additional_certs]
    return []


def _read_pem(bundle: bytes) -> list[x509.Certificate]:
    certificates = (ssl.PEM_cert_to_DER_cert(found[0].decode("ascii")) for found in _PEM.finditer(bundle))
    return [certificate for each in certificates if (certificate := _parse(each)) is not None]


def _parse(certificate: bytes) -> x509.Certificate | None:
    """Parse a certificate; None for one that breaks the rules too much, as some old roots do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        try:
            return x509.load_der_x509_certificate(certificate)
        except ValueError:
            return None


def _read_jks(data: bytes) -> Iterator[x509.Certificate]:
    """Read the certificates of a JKS file: after the head a number of entries, each with lengths before its fields."""
    count, at = int.from_bytes(data[8:12]), 12

    def field(size: int) -> bytes:
        nonlocal at
        length = int.from_bytes(data[at : at + size])
        at += size + length
        return data[at - length : at]

    for _ in range(count):
        tag, at = int.from_bytes(data[at : at + 4]), at + 4
        if tag != _TRUSTED:
            return
        field(2)  # alias
        at += 8  # date
        field(2)  # type: X.509
        if (certificate := _parse(field(4))) is not None:
            yield certificate
