"""The heap in large pages: it comes to lie in them, grows by no more than that takes, and gets along without."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from addon import huge_pages
from addon.huge_pages import use_huge_pages

ROOT = Path(__file__).parents[2]
SETTINGS = Path("/sys/kernel/mm/transparent_hugepage/enabled")

_PROGRAM = """
import json
from pathlib import Path
from addon.huge_pages import use_huge_pages

def look():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    return {name: int(size.split()[0]) * 1024 for name, _, size in (line.partition(":") for line in lines)}

kept = [str(number) for number in range(400_000)]
before = look()
used = use_huge_pages()
after = look()
assert kept[123_456] == "123456"
print(json.dumps([used, after["AnonHugePages"] - before["AnonHugePages"], after["Rss"] - before["Rss"]]))
"""


@pytest.mark.skipif(
    not SETTINGS.exists() or "[never]" in SETTINGS.read_text(), reason="this machine has no large pages to give"
)
def test_what_is_on_the_heap_comes_to_lie_in_large_pages_and_takes_hardly_more_room():
    command = [sys.executable, "-c", _PROGRAM]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=60)
    used, huge, more = json.loads(done.stdout)
    assert used == huge
    assert used >= 8 * 2**20
    assert more < 0.1 * used


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({}, id="another_system"),
        pytest.param({"enabled": "always madvise [never]\n", "hpage_pmd_size": "2097152\n"}, id="not_wanted"),
        pytest.param({"enabled": "always [madvise] never\n"}, id="size_unknown"),
        pytest.param({"enabled": "always [madvise] never\n", "hpage_pmd_size": "large\n"}, id="size_unreadable"),
    ],
)
def test_where_there_are_none_nothing_happens(monkeypatch, tmp_path, files):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(huge_pages, "_SETTINGS", tmp_path)
    assert use_huge_pages() == 0


def test_memory_that_cannot_be_looked_at_stays_as_it_is(monkeypatch, tmp_path):
    (tmp_path / "enabled").write_text("always [madvise] never\n")
    (tmp_path / "hpage_pmd_size").write_text("2097152\n")
    monkeypatch.setattr(huge_pages, "_SETTINGS", tmp_path)
    monkeypatch.setattr(huge_pages, "_SELF", tmp_path)
    assert use_huge_pages() == 0
