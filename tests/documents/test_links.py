"""Links of the documents lead to files and headings that there are, and so does whatever names a document elsewhere."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents.commands import DOCUMENTS, ROOT

ALL = (*DOCUMENTS, *sorted(ROOT.glob("tests/**/*.md")), *sorted(ROOT.glob("deploy/**/*.md")))
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_ELSEWHERE = (
    "*.toml",
    ".ci/*",
    "addon/**/*",
    "deploy/**/*",
    "docs/*.json",
    "scripts/*",
    "tests/**/*",
    "translators/**/*",
)
_NAMED = re.compile(r"\b(?:docs|tests/\w+)/\w+\.md\b")


def anchors(path: Path, level: str = "#+") -> list[str]:
    """Find the anchors that GitHub gives to the headings of a document."""
    found: list[str] = []
    seen: Counter[str] = Counter()
    for marks, heading in _HEADING.findall(path.read_text(encoding="utf-8")):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        if re.fullmatch(level, marks):
            found.append(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return found


def links() -> Iterator[tuple[Path, str]]:
    for path in ALL:
        for link in _LINK.findall(path.read_text(encoding="utf-8")):
            if not link.startswith(("http://", "https://")):
                yield path, link


LINKS = [pytest.param(path, link, id=f"{path.relative_to(ROOT)} {link}") for path, link in links()]


@pytest.mark.parametrize(("path", "link"), LINKS)
def test_a_link_leads_somewhere(path: Path, link: str):
    file, _, anchor = link.partition("#")
    target = path.parent / file if file else path
    assert target.is_file()
    assert not anchor or anchor in anchors(target)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_table_of_contents_has_every_section_in_its_place(path: Path):
    head, _, _ = path.read_text(encoding="utf-8").partition("\n## ")
    sections = anchors(path, "##")
    contents = [link.removeprefix("#") for link in _LINK.findall(head) if link.startswith("#")]
    assert not contents or [anchor for anchor in contents if anchor in sections] == sections


def test_every_document_is_reached_from_the_readme():
    reached = {(path.parent / link.partition("#")[0]).resolve() for path, link in links() if path == ROOT / "README.md"}
    assert {*ALL} <= {ROOT / "README.md", *reached}


def test_the_documents_that_other_files_name_are_there():
    files = [path for pattern in _ELSEWHERE for path in ROOT.glob(pattern) if path.is_file()]
    named = {
        (str(path.relative_to(ROOT)), name)
        for path in files
        if path.suffix not in {".pyc", ".png", ".gz"}
        for name in _NAMED.findall(path.read_text(encoding="utf-8", errors="ignore"))
    }
    assert named
    assert {(path, name) for path, name in named if not (ROOT / name).is_file()} == set()
