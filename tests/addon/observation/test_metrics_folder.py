"""The folder in which processes count, killed ones among them."""

import os
import signal
import sys
from pathlib import Path

import pytest

from addon.configuration.start_error import StartError
from addon.observation.metrics_folder import (
    FOLDER_VARIABLE,
    check_folder,
    hold_alive,
    living_processes,
    prepared_folder,
    reap,
)
from tests.addon.observation.counting_process import counting

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such locks")


def test_a_process_is_alive_as_long_as_it_runs(folder):
    with counting(folder) as process:
        assert living_processes(folder) == {str(process.process.pid)}
        process.end(signal.SIGKILL)
        assert living_processes(folder) == set()


def test_what_a_dead_process_of_the_same_number_had_in_flight_is_not_ours(folder, monkeypatch):
    folder.mkdir()
    left = folder / f"gauge_livesum_{os.getpid()}.db"
    counted = folder / f"counter_{os.getpid()}.db"
    for file in (left, counted):
        file.touch()
    monkeypatch.setattr("addon.observation.metrics_folder._held", {})
    hold_alive(folder)
    assert not left.exists()
    assert counted.exists()


def test_a_process_that_begins_while_the_dead_are_reaped_is_not_among_them(folder, monkeypatch):
    """Whoever is not yet in the list of the living must not be in the list of files either."""
    folder.mkdir()

    def look_and_begin(where: Path) -> set[str]:
        living = living_processes(where)
        (folder / "gauge_livesum_1.db").touch()
        (folder / "1.alive").touch()
        return living

    monkeypatch.setattr("addon.observation.metrics_folder.living_processes", look_and_begin)
    reap(folder)
    assert sorted(file.name for file in folder.iterdir()) == ["1.alive", "gauge_livesum_1.db"]


def test_a_new_folder_is_private_named_to_all_that_is_started_and_gone_in_the_end(folder):
    with prepared_folder() as made:
        assert os.environ[FOLDER_VARIABLE] == str(made)
        assert made.stat().st_mode & 0o777 == 0o700
    assert not made.exists()
    assert FOLDER_VARIABLE not in os.environ


def test_what_dead_processes_left_in_a_named_folder_is_wiped_and_the_folder_stays(folder, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    with counting(folder) as process:
        process.count(1)
        with prepared_folder():
            assert list(folder.glob("*.db"))  # others still count here
    (folder / "another.txt").touch()
    with prepared_folder() as made:
        assert made == folder
        assert [file.name for file in folder.iterdir()] == ["another.txt"]
    assert folder.exists()


def test_a_folder_that_cannot_be_used_is_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match=r"Metrics cannot be kept in the folder .*/file/inside: not a directory\."):
        check_folder(tmp_path / "file" / "inside")
