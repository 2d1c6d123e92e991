"""The demo shows what it says, whatever its user's shell has."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

DEMO = Path(__file__).parents[2] / "scripts" / "demo.py"


def test_it_goes_well_behind_a_proxy_of_its_users():
    nobody = "http://127.0.0.1:9"
    proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"), nobody)
    kept = {name: value for name, value in os.environ.items() if name != "ANTHROPIC_API_KEY"}
    done = subprocess.run([sys.executable, DEMO], env=kept | proxies, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("An answer that follows a JSON schema") == 2


def test_it_takes_its_proxy_along_when_it_is_ended(tmp_path):
    kept = {name: value for name, value in os.environ.items() if name != "ANTHROPIC_API_KEY"}
    kept |= {"TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen([sys.executable, DEMO], env=kept, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout
        next(line for line in demo.stdout if "Through the proxy" in line)
        demo.send_signal(signal.SIGTERM)
        demo.stdout.read()
    assert demo.returncode == 1
    # The folder of the proxy is the last that goes, once its process has ended.
    deadline = time.monotonic() + 60
    while list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not list(tmp_path.iterdir())
