"""Where the proxy keeps what outlives it: the store and the secret, if the settings name no other place."""

import contextlib
import hashlib
import os
import secrets
import sys
import tempfile
from pathlib import Path

import structlog
from pydantic import SecretStr

from addon.configuration.operation_settings import StoreSettings
from addon.storage.sqlite_store import IN_MEMORY, SqliteStore
from addon.storage.store import Store

__all__ = ["open_store", "read_secret", "share_secret", "state_folder", "store_folder"]

log = structlog.get_logger(__name__)


def state_folder() -> Path:
    """Find the user's folder for such files, by the custom of the system. It need not exist."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Application Support"
    else:
        base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
    return base / "claude-proxy"


def store_folder(settings: StoreSettings) -> Path:
    """Name the folder of the store and of the secret beside it."""
    return settings.path.parent if settings.path else state_folder()


def open_store(settings: StoreSettings) -> Store:
    """Choose the store. Nothing is opened before its first use: a proxy that serves no state needs none."""
    if settings.redis_url is not None:
        from addon.storage.redis_store import RedisStore  # noqa: PLC0415 - its client takes 9 MiB

        return RedisStore(settings.redis_url.get_secret_value(), settings.seconds_to_live)
    path = settings.path or state_folder() / "store.sqlite3"
    return SqliteStore(path, settings.seconds_to_live, settings.max_bytes)


def read_secret(settings: StoreSettings) -> bytes:
    """Read the secret that seals `encrypted_content`, or make it.

    Where it can neither be read nor kept, it is one of this process alone: what is sealed with it cannot be opened
    after a restart, which the log says.
    """
    if settings.secret is not None and settings.secret.get_secret_value():
        return _derive(settings.secret.get_secret_value().encode())
    if settings.secret_file is None and str(settings.path) == IN_MEMORY:
        return secrets.token_bytes(32)
    path = _secret_file(settings)
    try:
        return _derive(_read_or_make(path))
    except OSError as error:
        log.warning("secret_not_kept", file=str(path), error=error.strerror)
        return secrets.token_bytes(32)


def share_secret(settings: StoreSettings) -> StoreSettings:
    """Return settings with which several processes have the same secret, even where it cannot be kept."""
    if settings.secret is not None and settings.secret.get_secret_value():
        return settings
    try:
        _read_or_make(_secret_file(settings))
    except OSError as error:
        log.warning("secret_not_kept", file=str(_secret_file(settings)), error=error.strerror)
        return settings.model_copy(update={"secret": SecretStr(secrets.token_hex(32))})
    return settings


def _secret_file(settings: StoreSettings) -> Path:
    return settings.secret_file or store_folder(settings) / "secret"


def _read_or_make(path: Path) -> bytes:
    with contextlib.suppress(FileNotFoundError):
        if secret := path.read_bytes().strip():
            return secret
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Another process may make it at the same time: the first link counts, and is whole.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".secret-")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
        try:
            os.link(name, path)
        except FileExistsError:
            if not path.read_bytes().strip():
                Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
    return path.read_bytes().strip()


def _derive(secret: bytes) -> bytes:
    return hashlib.blake2b(secret, digest_size=32, person=b"claude-proxy").digest()
