"""What a serving process imports, and that all of mitmproxy's addons are there for those who ask for them."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def _run(program: str) -> str:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


def test_what_a_serving_process_has_no_use_for_is_not_imported():
    unused = ("aiohttp.web", "flask", "ldap3", "mitmproxy.flowfilter", "redis")
    assert _run(f"import sys, addon.serving.master; print([name for name in {unused} if name in sys.modules])") == "[]"


def test_all_of_mitmproxys_addons_are_there_when_they_are_asked_for():
    program = "import addon.serving.master; from mitmproxy import addons; print(len(addons.default_addons()))"
    assert int(_run(program)) == int(_run("from mitmproxy import addons; print(len(addons.default_addons()))")) > 25


def test_a_process_that_has_them_all_keeps_them():
    program = "from mitmproxy import addons; import addon.serving.master; print(addons.default_addons.__module__)"
    assert _run(program) == "mitmproxy.addons"
