"""Fixtures for the tests of what operators see."""

import pytest

from addon.observation.metrics_folder import FOLDER_VARIABLE


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    return tmp_path / "metrics"
