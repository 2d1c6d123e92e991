"""The heap in huge pages: it comes to lie in them, grows by no more than that takes, and gets along without."""

import ctypes
import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest

from addon.serving import huge_pages
from addon.serving.huge_pages import use_huge_pages
from tests.huge_pages import GIVEN

ROOT = Path(__file__).parents[3]

_PROGRAM = """
import json
from pathlib import Path
from addon.serving.huge_pages import use_huge_pages

def look():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    return {name: int(size.split()[0]) * 1024 for name, _, size in (line.partition(":") for line in lines)}

kept = [str(number) for number in range(400_000)]
before = look()
used = [use_huge_pages(), use_huge_pages()]
after = look()
assert kept[123_456] == "123456"
print(json.dumps([*used, after["AnonHugePages"], after["Rss"] - before["Rss"]]))
"""


@pytest.mark.skipif(GIVEN == "never", reason="this machine has no huge pages to give")
def test_what_is_on_the_heap_comes_to_lie_in_huge_pages_and_takes_hardly_more_room():
    command = [sys.executable, "-c", _PROGRAM]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=60)
    used, used_again, huge, more = json.loads(done.stdout)
    assert used == used_again == huge
    assert used >= 8 * 2**20
    assert more < 0.1 * used


class Refusing:
    """A C library whose `madvise` refuses, and counts how often it is asked."""

    def __init__(self, error: int) -> None:
        self.asked = 0
        self.madvise = lambda *_: self._refuse(error)

    def _refuse(self, error: int) -> int:
        self.asked += 1
        ctypes.set_errno(error)
        return -1


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("error", "asks_on"),
    [
        pytest.param(errno.ENOMEM, False, id="none_in_one_piece"),
        pytest.param(errno.EBUSY, False, id="limit_of_the_cgroup"),
        pytest.param(errno.EAGAIN, True, id="page_in_use"),
    ],
)
def test_where_memory_is_short_no_more_of_it_is_asked_for(monkeypatch, tmp_path, error, asks_on):
    kept = [str(number) for number in range(400_000)]
    (tmp_path / "enabled").write_text("always [madvise] never\n")
    (tmp_path / "hpage_pmd_size").write_text("2097152\n")
    library = Refusing(error)
    monkeypatch.setattr(huge_pages, "_SETTINGS", tmp_path)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: library)
    assert use_huge_pages() == 0
    assert (library.asked > 1) is asks_on
    assert library.asked
    del kept


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
