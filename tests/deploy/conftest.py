"""Fixtures that several tests of deploy/ share."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.image import PROGRAMS, Engine, build_image, needs, running_engine


@pytest.fixture(scope="session")
def helm():
    """Helm's own engine, as a library."""
    return pytest.importorskip("helm_python", reason="Helm's engine comes for x86-64 Linux alone")


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """A container engine that has built the image."""
    needs(*PROGRAMS)
    # Podman takes no path that is longer than 50 characters.
    with tempfile.TemporaryDirectory(prefix="engine-") as folder, running_engine(Path(folder)) as engine:
        build_image(engine)
        yield engine
