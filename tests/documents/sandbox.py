"""Where documented commands are run as they stand: a clone of the repository, a home, a simulated Claude."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.documents.commands import ROOT

START_SECONDS = 60
APP = """
import openai
asked = [{"role": "user", "content": "Say hello to the reader."}]
answer = openai.OpenAI(timeout=30).chat.completions.create(model="gpt-4o", messages=asked)
print(answer.choices[0].message.content)
"""
ANSWERED = "simulated Claude"
"""What the app prints if Claude answered it."""


class Sandbox:
    """A folder to be in, with an `app.py`. Nobody starts an exporter unless asked to.

    Args:
        folder: an empty one.
        authority: a folder with a certificate authority.
    """

    def __init__(self, folder: Path, authority: Path) -> None:
        self.clone = folder / "clone"
        self.clone.mkdir(parents=True)
        for path in ROOT.iterdir():
            if path.name not in {"config.json", "config.toml"}:
                (self.clone / path.name).symlink_to(path)
        (self.clone / "app.py").write_text(APP)
        self.home = folder / "home"
        self.home.mkdir()
        shutil.copytree(authority, self.home / ".mitmproxy")
        self.environment = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "HOME": str(self.home),
            "PYTHONUNBUFFERED": "1",
            "OPENAI_API_KEY": "sk-the-apps-own",
            "CLAUDE_PROXY_SIMULATE": "true",
            "CLAUDE_PROXY_EXPORTER": "false",
            "CLAUDE_PROXY_EXPORTER_PORT": "0",
            "PORT": "0",
        }

    def run(self, command: str, status: int = 0, **environment: str) -> str:
        """Run a command to its end. Returns what it printed on standard output."""
        ended = subprocess.run(
            ["bash", "-c", command],
            cwd=self.clone,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
        assert ended.returncode == status, ended.stdout + ended.stderr
        return ended.stdout

    @contextlib.contextmanager
    def started(self, command: str, says: str, **environment: str) -> Iterator[tuple[str, ...]]:
        """Start a command that goes on until it is told to end. Yields the groups of `says`, once it has said that."""
        output = self.home / f"{len(list(self.home.iterdir()))}.output"
        with output.open("wb") as written:
            process = subprocess.Popen(
                ["bash", "-c", command],
                cwd=self.clone,
                env=self.environment | environment,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            deadline = time.monotonic() + START_SECONDS
            while (found := re.search(says, said := output.read_text())) is None:
                assert process.poll() is None, said
                assert time.monotonic() < deadline, said
                time.sleep(0.05)
            yield found.groups()
            process.terminate()
            assert process.wait(START_SECONDS) == 0, output.read_text()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
