"""The folder in which the processes of one proxy keep their metrics, so that an exporter can add them up.

The environment variable that `prometheus_client` has for it says whether there is one. Each process holds the lock of a
file of its own for as long as it lives: unlike its number, that tells across containers and over the years whether it
is alive.
"""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from addon.configuration.start_error import StartError

__all__ = [
    "FOLDER_VARIABLE",
    "IS_SUPPORTED",
    "check_folder",
    "folder_in_use",
    "hold_alive",
    "living_processes",
    "prepared_folder",
    "reap",
]

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
IS_SUPPORTED = sys.platform != "win32"

_held: dict[tuple[Path, int], int] = {}


def folder_in_use() -> Path | None:
    """Name the folder in which this process counts, None if it counts in memory."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named) if named else None


def check_folder(folder: Path) -> None:
    """Make the folder if it is not there yet.

    Raises:
        StartError: it cannot be made, or nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StartError([f"Metrics cannot be kept in the folder {folder}: {reason}."]) from error


@contextlib.contextmanager
def prepared_folder() -> Iterator[Path]:
    """Have this process and those that it starts count in a folder: the one that the environment names, else a new one.

    Enter it before any `Metrics` is made. What dead processes have left there is wiped.

    Raises:
        StartError: the folder that the environment names cannot be used.
    """
    named = folder_in_use()
    folder = named or Path(tempfile.mkdtemp(prefix="claude-proxy-metrics-"))
    check_folder(folder)
    if not living_processes(folder):
        for file in [*folder.glob("*.db"), *folder.glob("*.alive")]:
            file.unlink(missing_ok=True)
    os.environ[FOLDER_VARIABLE] = str(folder)
    try:
        yield folder
    finally:
        if named is None:
            del os.environ[FOLDER_VARIABLE]
            shutil.rmtree(folder, ignore_errors=True)


def living_processes(folder: Path) -> set[str]:
    """Find the numbers of the processes that count in the folder and are alive."""
    return {file.stem for file in folder.glob("*.alive") if _is_held(file)}


def reap(folder: Path) -> set[str]:
    """Take what dead processes had in flight out of the sum; return the numbers of the living.

    What they have counted stays: a counter must not fall.
    """
    # In this order: whoever begins in between is among the living, and not among the files.
    files = [*folder.glob("gauge_live*.db"), *folder.glob("*.alive")]
    living = living_processes(folder)
    for file in files:
        if file.stem.rpartition("_")[2] not in living:
            file.unlink(missing_ok=True)
    return living


if sys.platform == "win32":

    def hold_alive(folder: Path) -> None:
        """Do nothing: there are no such locks, and no exporter is started."""

    def _is_held(file: Path) -> bool:
        return file.exists()

else:
    import fcntl

    def hold_alive(folder: Path) -> None:
        """Show that this process is alive, until it ends. Call it before the first metric is made."""
        key = folder, os.getpid()
        if key in _held:
            return
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # A dead process may have had the same number: what it had in flight is not ours.
        for file in folder.glob(f"gauge_live*_{os.getpid()}.db"):
            file.unlink(missing_ok=True)
        number, name = tempfile.mkstemp(dir=folder)
        fcntl.flock(number, fcntl.LOCK_EX)
        # Only a locked file gets the name by which it is found.
        Path(name).rename(folder / f"{os.getpid()}.alive")
        _held[key] = number

    def _is_held(file: Path) -> bool:
        try:
            number = os.open(file, os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(number)
        return False
