"""Fixtures that several tests of deploy/ share."""

import pytest


@pytest.fixture(scope="session")
def helm():
    """Helm's own engine, as a library."""
    return pytest.importorskip("helm_python", reason="Helm's engine comes for x86-64 Linux alone")
