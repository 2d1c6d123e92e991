"""OpenSSL stays out of a process until something of it is used, and nothing of it is missing then."""

import subprocess
import sys

from tests.addon.observation.counting_process import ROOT

BEGINNING = "import sys; from addon.observation.late_openssl import load_openssl_late; "
LATE = "load_openssl_late(); "
LOADED = "print([name in sys.modules for name in ('_ssl', '_hashlib')])"


def said(program: str, before: str = LATE) -> str:
    command = [sys.executable, "-c", BEGINNING + before + program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.strip()


def test_the_exporters_modules_load_nothing_of_it():
    assert said(f"import addon.observation.exporter; {LOADED}") == "[False, False]"


def test_what_is_used_is_the_real_thing():
    use = (
        "import ssl, hashlib; print(ssl.create_default_context().check_hostname, hashlib.sha256(b'a').hexdigest()[:8])"
    )
    assert said(use) == "True ca978112"


def test_who_imports_a_name_gets_the_real_one():
    assert said(
        "from hashlib import md5; from ssl import SSLError; print(md5().name, SSLError.__mro__[1].__name__)"
    ) == ("md5 OSError")


def test_what_neither_has_is_missing():
    assert said("import ssl; print(hasattr(ssl, 'nothing'), hasattr(ssl, '__path__'))") == "False False"


def test_what_is_loaded_already_stays():
    assert said("import ssl as again; print(ssl is again)", before=f"import ssl; {LATE}") == "True"
