"""The demo behind scripts/demo: the unmodified `openai` client talks to Claude, as it stands and through a base URL.

Exits with 0 only if every answer was what an OpenAI app would rely on, so that CI can run it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import openai
import pydantic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

START_SECONDS = 60
MODEL = "gpt-4o"
BOLD, DIM, GREEN, RED, PLAIN = (
    ("\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[31m", "\x1b[0m") if sys.stdout.isatty() else [""] * 5
)


class Recipe(pydantic.BaseModel):
    """The form in which the demo asks for a recipe."""

    title: str
    minutes: int
    steps: list[str]


WEATHER_TOOL: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


def stream_text(client: openai.OpenAI) -> None:
    """Print a text while it comes."""
    started, arrivals, finish_reason, tokens = time.monotonic(), [], None, 0
    print("  ", end="")
    for chunk in client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Say in two sentences what a proxy is."}],
        stream=True,
        stream_options={"include_usage": True},
    ):
        tokens = chunk.usage.completion_tokens if chunk.usage else tokens
        for choice in chunk.choices:
            if choice.delta.content:
                arrivals.append(time.monotonic() - started)
                print(choice.delta.content.replace("\n", "\n  "), end="", flush=True)
            finish_reason = choice.finish_reason or finish_reason
    print()
    expect(len(arrivals) > 1, "it came piece by piece")
    expect(finish_reason == "stop" and tokens > 0, "it ended as it should")
    note(f"{len(arrivals)} pieces, from {arrivals[0]:.2f} s to {arrivals[-1]:.2f} s; {tokens} tokens")


def call_tool(client: openai.OpenAI) -> None:
    """Let the model call a tool, and give it the result."""
    messages: list[ChatCompletionMessageParam] = [
        {"role": "user", "content": "What is the weather in Paris? Use get_weather."}
    ]
    answer = client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER_TOOL]).choices[0]
    expect(answer.finish_reason == "tool_calls" and bool(answer.message.tool_calls), "it called the tool")
    # The app sends the answer back as it came, as every agent does.
    messages.append(answer.message.to_dict())
    for call in answer.message.tool_calls or []:
        if call.type != "function":
            raise DemoError("expected: a call of a function")
        note(f"it calls {call.function.name}({call.function.arguments})")
        expect("city" in json.loads(call.function.arguments), "the arguments follow the schema")
        messages.append({"role": "tool", "tool_call_id": call.id, "content": '{"celsius": 21, "sky": "clear"}'})
    final = client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER_TOOL]).choices[0]
    expect(final.finish_reason == "stop" and bool(final.message.content), "it answered with the result")
    show(final.message.content or "")


def ask_for_json(client: openai.OpenAI) -> None:
    """Have the answer follow a JSON schema."""
    answer = client.chat.completions.parse(
        model=MODEL,
        messages=[{"role": "user", "content": "A recipe for pancakes, in three steps."}],
        response_format=Recipe,
    )
    recipe = answer.choices[0].message.parsed
    expect(recipe is not None, "the answer follows the schema")
    show(repr(recipe))


def get_an_error(client: openai.OpenAI) -> None:
    """Send what OpenAI would refuse, and get OpenAI's own kind of error."""
    try:
        client.chat.completions.create(model=MODEL, messages=[])
    except openai.BadRequestError as error:
        expect(bool(error.param), "the error names the parameter")
        show(f"{type(error).__name__}: {error.body}")
    else:
        raise DemoError("expected: the request is refused")


CONVERSATION: tuple[tuple[str, Callable[[openai.OpenAI], None]], ...] = (
    ("A streamed text", stream_text),
    ("A tool call and its result", call_tool),
    ("An answer that follows a JSON schema", ask_for_json),
    ("An error", get_an_error),
)


class DemoError(Exception):
    """An answer was not what an OpenAI app relies on."""


def expect(is_so: bool, what: str) -> None:
    """Stop the demo unless `is_so`."""
    if not is_so:
        raise DemoError(f"expected: {what}")
    print(f"  {GREEN}ok{PLAIN} {what}")


def note(text: str) -> None:
    """Print an aside."""
    print(f"  {DIM}{text}{PLAIN}")


def show(text: str) -> None:
    """Print an answer, indented."""
    print("  " + text.strip().replace("\n", "\n  "))


@contextlib.contextmanager
def running_proxy(confdir: Path) -> Iterator[tuple[str, str]]:
    """Run `claude-proxy serve` as a process of its own; yield the addresses of its proxy and of its endpoint."""
    command = [
        sys.executable,
        "-m",
        "addon.commands.cli",
        "serve",
        "--confdir",
        str(confdir),
        "--host",
        "127.0.0.1",
        "--port",
        "0",
    ]
    command += ["--mode", "regular@0", "--mode", "standalone"]
    if not os.environ.get("ANTHROPIC_API_KEY"):
        command.append("--simulate")
    log = confdir / "log.json"
    with log.open("w") as stdout, (confdir / "messages").open("w+") as stderr:
        process = subprocess.Popen(command, stdout=stdout, stderr=stderr, cwd=confdir)
        try:
            yield _addresses(process, Path(stderr.name))
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(START_SECONDS)
            process.kill()
            process.wait()
    note(
        f"the proxy ended with status {process.returncode} and logged {len(log.read_text().splitlines())} lines of JSON"
    )
    expect(process.returncode == 0, "the proxy ended cleanly")


def _addresses(process: subprocess.Popen[bytes], messages: Path) -> tuple[str, str]:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        proxy = re.search(r"regular@(\d+) on ", messages.read_text())
        endpoint = re.search(r"OPENAI_BASE_URL=(\S+)", messages.read_text())
        if proxy and endpoint:
            return f"http://127.0.0.1:{proxy[1]}", endpoint[1]
        time.sleep(0.05)
    raise DemoError(f"the proxy did not start: {messages.read_text()}")


@contextlib.contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Set what an app's user would set, for a while; what else could lead the client elsewhere is out of the way."""
    names = (
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
        "NO_PROXY",
        "no_proxy",
        "SSL_CERT_FILE",
        "OPENAI_BASE_URL",
    )
    # Whoever runs this may have made client keys.
    variables["CLAUDE_PROXY_ALLOW_ANONYMOUS"] = "true"
    before = {name: os.environ.pop(name, None) for name in (*names, *variables)}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def converse() -> None:
    """Do what an app does, with nothing in its code that knows of Claude."""
    with openai.OpenAI(max_retries=0) as client:
        note(f"openai {openai.__version__} talks to {client.base_url}")
        for title, part in CONVERSATION:
            print(f"\n{BOLD}{title}{PLAIN}")
            part(client)


def main() -> int:
    """Run the demo. Returns its exit status."""
    whom = (
        "Claude"
        if os.environ.get("ANTHROPIC_API_KEY")
        else "the simulated Claude (set ANTHROPIC_API_KEY for the real one)"
    )
    print(f"{BOLD}Claude Proxy{PLAIN}: an unchanged OpenAI app gets its answers from {whom}")
    # As for Ctrl-C: what was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        with tempfile.TemporaryDirectory(prefix="claude-proxy-demo-") as folder, environment():
            confdir = Path(folder)
            with running_proxy(confdir) as (proxy, endpoint):
                key = "sk-this-key-never-leaves-the-proxy"
                print(f"\n{BOLD}1. Through the proxy: HTTPS_PROXY={proxy}{PLAIN}")
                ca = str(confdir / "mitmproxy-ca-cert.pem")
                with environment(HTTPS_PROXY=proxy, SSL_CERT_FILE=ca, OPENAI_API_KEY=key):
                    converse()
                print(f"\n{BOLD}2. At the standalone endpoint: OPENAI_BASE_URL={endpoint}{PLAIN}")
                with environment(OPENAI_BASE_URL=endpoint, OPENAI_API_KEY=key):
                    converse()
                print()
    except (DemoError, openai.OpenAIError) as error:
        print(f"{RED}The demo failed{PLAIN}: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(f"{GREEN}All went well.{PLAIN}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
