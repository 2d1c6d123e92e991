"""aider: edits files of a git repository in its formats of edits, and meets what else an answer can be."""

import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else LiteLLM asks another host

import litellm  # noqa: F401 - aider imports it when it first asks
from aider.main import main
from features import PNG, feature, rate_limited_once, run_features, simulate, simulate_in_order, stalled

GREETING = "hello\nworld\n"
CHANGED = "good day\nworld\n"
MODELS = ("--model", "openai/gpt-5", "--weak-model", "openai/gpt-5", "--map-tokens", "0")
OFFLINE = ("--no-check-update", "--analytics-disable", "--no-show-model-warnings", "--no-show-release-notes")
PLAIN = ("--yes-always", "--no-pretty", "--no-fancy-input", "--no-suggest-shell-commands", "--no-gitignore")
SECONDS = 60

WHOLE = f"greeting.txt\n```\n{CHANGED}```\n"
DIFF = "greeting.txt\n```\n<<<<<<< SEARCH\nhello\n=======\ngood day\n>>>>>>> REPLACE\n```\n"
UDIFF = "```diff\n--- greeting.txt\n+++ greeting.txt\n@@ ... @@\n-hello\n+good day\n world\n```\n"
EDITS = {"whole": WHOLE, "diff": DIFF, "udiff": UDIFF}

_folders = itertools.count()


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def repository() -> Path:
    """Make a git repository with one file."""
    folder = Path.home() / f"task-{next(_folders)}"
    folder.mkdir()
    git(folder, "init", "--quiet")
    git(folder, "config", "user.name", "Ada")
    git(folder, "config", "user.email", "ada@example.com")
    (folder / "greeting.txt").write_text(GREETING)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "Greet")
    return folder


class Task:
    """aider at work on a message in a folder: its command in a process of its own, forked so as to import it once."""

    def __init__(self, folder: Path, message: str, *arguments: str) -> None:
        self._output = folder.with_suffix(".output")
        self._output.touch()
        given = [*MODELS, *OFFLINE, *PLAIN, *arguments, "--message", message]
        self.process = multiprocessing.get_context("fork").Process(target=self._work, args=(folder, given))
        self.process.start()

    def _work(self, folder: Path, arguments: list[str]) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background starts without
        os.chdir(folder)
        written = os.open(self._output, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(written, stream)
        sys.exit(main(arguments))

    @property
    def said(self) -> str:
        return self._output.read_text()

    def ended(self) -> str:
        """Wait for its end; give all that it said."""
        self.process.join(SECONDS)
        assert self.process.exitcode == 0, self.said
        return self.said


def aider(folder: Path, message: str, *arguments: str) -> str:
    return Task(folder, message, *arguments).ended()


def ask(message: str, *arguments: str) -> str:
    return aider(repository(), message, "--chat-mode", "ask", *arguments)


@feature("chat: text")
def text() -> None:
    said = ask("Hello.", "--no-stream")
    assert 'You wrote "Hello."' in said, said


@feature("chat: stream")
def stream() -> None:
    said = ask("Hello.", "--stream")
    assert 'You wrote "Hello."' in said, said


for name, edit in EDITS.items():

    @feature(f"edits a file and commits it: {name}")
    def edits(name: str = name, edit: str = edit) -> None:
        folder = repository()
        task = simulate_in_order("Change the greeting.", {"text": f"Here it is.\n\n{edit}"})
        said = aider(folder, task, "--edit-format", name, "greeting.txt")
        assert (folder / "greeting.txt").read_text() == CHANGED, said
        assert git(folder, "rev-list", "--count", "HEAD").strip() == "2", said
        assert not git(folder, "status", "--porcelain", "--untracked-files=no"), said


@feature("chat: image")
def image() -> None:
    folder = repository()
    (folder / "dot.png").write_bytes(PNG)
    said = aider(folder, "Look.", "--chat-mode", "ask", "dot.png")
    assert 'You wrote "Look."' in said, said


@feature("chat: errors")
def errors() -> None:
    said = ask(simulate("Hello.", status=400, error={"type": "invalid_request_error", "message": "Not so."}))
    assert "Not so." in said, said


@feature("chat: rate limit, and retry")
def retry() -> None:
    said = ask(rate_limited_once())
    assert 'You wrote "Hello."' in said, said


@feature("chat: a stream is left")
def left() -> None:
    task = Task(repository(), stalled(), "--chat-mode", "ask")
    while "and so on" not in task.said:
        assert task.process.is_alive(), task.said
        time.sleep(0.05)
    os.kill(task.process.pid, signal.SIGINT)
    task.ended()


run_features()
