"""Where the state is, and the secret: made once, private, the same for all."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from addon.configuration.operation_settings import StoreSettings
from addon.configuration.settings import SettingsError, load_settings
from addon.storage.redis_store import RedisStore
from addon.storage.sqlite_store import SqliteStore
from addon.storage.state_folder import open_store, read_secret, state_folder

pytestmark = pytest.mark.usefixtures("clean_environment")


def settings(**store: object) -> StoreSettings:
    return load_settings({"store": store}).store


def test_the_secret_is_made_once_beside_the_store(tmp_path: Path) -> None:
    store = settings(path=str(tmp_path / "state" / "store.sqlite3"))
    first = read_secret(store)
    assert len(first) == 32
    file = tmp_path / "state" / "secret"
    assert file.stat().st_mode & 0o777 == 0o600
    assert read_secret(store) == first
    assert [entry.name for entry in file.parent.iterdir()] == ["secret"]
    assert file.read_text().encode() not in first


async def test_those_who_make_it_at_once_get_the_same(tmp_path: Path) -> None:
    store = settings(secret_file=str(tmp_path / "secret"))
    secrets = await asyncio.gather(*(asyncio.to_thread(read_secret, store) for _ in range(20)))
    assert len(set(secrets)) == 1


def test_an_empty_file_is_filled(tmp_path: Path) -> None:
    (tmp_path / "secret").touch()
    store = settings(secret_file=str(tmp_path / "secret"))
    assert read_secret(store) == read_secret(store)
    assert (tmp_path / "secret").read_text()


def test_the_environment_gives_it_to_all_machines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLAUDE_PROXY_SECRET", "shared by all")
    monkeypatch.setenv("CLAUDE_PROXY_STORE_PATH", str(tmp_path / "a" / "store.sqlite3"))
    store = load_settings().store
    assert read_secret(store) == read_secret(settings(secret="shared by all", path=":memory:"))
    assert read_secret(store) != read_secret(settings(secret="another"))
    assert list(tmp_path.iterdir()) == []
    assert "shared by all" not in repr(store) + store.model_dump_json()


def test_a_secret_that_cannot_be_kept_is_one_of_this_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    store = settings(path=str(tmp_path / "file" / "store.sqlite3"))
    assert read_secret(store) != read_secret(store)
    assert "secret_not_kept" in capsys.readouterr().out


def test_without_a_store_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_secret(settings(path=":memory:")) != read_secret(settings(path=":memory:"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the custom of Linux")
def test_the_default_is_the_users_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert state_folder() == tmp_path / "state" / "claude-proxy"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_folder() == tmp_path / ".local/state/claude-proxy"


async def test_redis_takes_the_place_of_the_file(tmp_path: Path) -> None:
    for given, kind in (({"redis_url": "redis://127.0.0.1:1"}, RedisStore), ({"path": ":memory:"}, SqliteStore)):
        store = open_store(settings(**given))
        assert isinstance(store, kind)
        await store.close()


@pytest.mark.parametrize("url", ["http://127.0.0.1", "127.0.0.1:6379"])
def test_a_wrong_redis_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(SettingsError, match=r"store\.redis_url") as failure:
        settings(redis_url=url + ":a-password")
    assert "a-password" not in str(failure.value)


def test_a_home_is_found_in_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", os.fspath(Path("/somewhere")))
    assert settings(path="~/store.sqlite3").path == Path("/somewhere/store.sqlite3")
