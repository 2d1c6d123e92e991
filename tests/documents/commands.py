"""The commands in README.md, in docs/ and in the comments of deploy/, as a reader would copy them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[2]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
DEPLOYED = sorted(path for path in (ROOT / "deploy").iterdir() if path.is_file() and path.name != "requirements.txt")

_ASSIGNMENTS = r"(?:[A-Z_]+=(?:'[^']*'|\S*) *)*"
_PROGRAMS = "claude-proxy|curl|devenv|docker|helm|iptables|kubectl|mitmdump|node|npm|npx|pip|printf|python3?|sysctl|uv"
_COMMAND = re.compile(rf"{_ASSIGNMENTS}(?:(?:\.venv/bin/)?(?:{_PROGRAMS}) |scripts/\w+(?: |$))|[A-Z_]+='")
_OUR_SUBCOMMAND = re.compile(r"(?:config|doctor|exporter|keys|run|serve|simulate) \S")
"""What the text calls by its subcommand alone, as in: `config check [FILE]`."""
_NAME = re.compile(r"(?:docker|helm|kubectl|uv) [a-z]+")
_CODE_SPAN = re.compile(r"`([^`\n]+)`")
_COMMENT_IN_FILE = re.compile(r"^#   (\S.*)$", re.MULTILINE)
_TRAILING_COMMENT = re.compile(r"\s+# .*$")

type Kind = Literal["commands", "json", "toml", "drawing"]


@dataclass(frozen=True)
class Block:
    """Indented or fenced lines of a document."""

    document: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"

    @property
    def kind(self) -> Kind:
        first = self.lines[0]
        if first.startswith("{"):
            return "json"
        if first.startswith("["):
            return "toml"
        return "drawing" if re.search("[─│]", self.text) else "commands"


def blocks() -> Iterator[Block]:
    """Find all blocks of all documents."""
    for path in DOCUMENTS:
        lines: list[str] = []
        is_fenced = False
        for line in [*path.read_text(encoding="utf-8").splitlines(), "end"]:
            is_fence = line.startswith("```")
            is_fenced ^= is_fence
            if not is_fence and (is_fenced or line.startswith("    ")):
                lines.append(line if is_fenced else line[4:])
            elif lines and line:
                yield Block(path.name, tuple(lines))
                lines = []


def documented() -> dict[str, set[str]]:
    """Find each command, and the files that have it.

    A span of code in the text that only begins a command of a block or of another span (`claude-proxy run`) names that
    command, and is none itself; nor is a part of another program (`helm template`).
    """
    found: dict[str, set[str]] = {}
    for block in blocks():
        if block.kind == "commands":
            for line in re.sub(r"\\\n\s*", "", block.text).splitlines():
                if command := _TRAILING_COMMENT.sub("", f" {line}").strip():
                    found.setdefault(command, set()).add(block.document)
    for path in DEPLOYED:
        for command in _COMMENT_IN_FILE.findall(path.read_text(encoding="utf-8")):
            found.setdefault(command, set()).add(path.name)
    spans: dict[str, set[str]] = {}
    for path in DOCUMENTS:
        text = "\n".join(line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("    "))
        for span in _CODE_SPAN.findall(text):
            if _NAME.fullmatch(span):
                continue
            if _COMMAND.match(span):
                spans.setdefault(span, set()).add(path.name)
            elif _OUR_SUBCOMMAND.match(span):
                spans.setdefault(f"claude-proxy {span}", set()).add(path.name)
    whole = [*found, *spans]
    for span, documents in spans.items():
        if span in found or not any(command.startswith(f"{span} ") for command in whole):
            found.setdefault(span, set()).update(documents)
    return found
