"""Fixtures for the tests of the shell."""

from __future__ import annotations

import pytest

from addon.configuration.settings import ALL_SETTINGS


@pytest.fixture
def clean_environment(monkeypatch, tmp_path):
    """No setting comes from the environment or from a file that happens to lie in the working directory."""
    for setting in ALL_SETTINGS:
        monkeypatch.delenv(setting.names.env, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path
