"""Fixtures that several tests of deploy/ share."""

from collections.abc import Iterator

import pytest

from tests.deploy.image import PROGRAMS, Engine, build_image, needs, running_engine


@pytest.fixture(scope="session")
def helm():
    """Helm's own engine, as a library."""
    return pytest.importorskip("helm_python", reason="Helm's engine comes for x86-64 Linux alone")


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A container engine that has built the image."""
    needs(*PROGRAMS)
    with running_engine(tmp_path_factory.mktemp("engine")) as engine:
        build_image(engine)
        yield engine
