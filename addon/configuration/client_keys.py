"""Client keys: what is known of each, and the file that `claude-proxy keys` keeps them in.

Only SHA-256 digests are kept. A key has 256 random bits, so that a digest cannot be guessed back and needs no salt.
"""

import contextlib
import hashlib
import os
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

__all__ = ["ClientKey", "KeyFileError", "change_key_file", "digest_of", "new_key", "read_key_file", "require_unique"]

PREFIX = "sk-claude-proxy-"
"""Recognisable to scanners for leaked secrets, and masked by the log as every `sk-` is."""


class KeyFileError(ValueError):
    """The key file cannot be used; the text says why, and holds no key."""


class ClientKey(BaseModel):
    """One key, in the configuration (`[[access.keys]]`) or in the key file. Limits that it lacks are everybody's."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    models: tuple[str, ...] = ()
    """Patterns of the names that the client may ask for, as in aliases; none means all."""
    requests_per_minute: Annotated[int | None, Field(ge=0)] = None
    burst_size: Annotated[int | None, Field(ge=1)] = None
    tokens_per_minute: Annotated[int | None, Field(ge=0)] = None
    concurrent_requests: Annotated[int | None, Field(ge=0)] = None
    dollars_per_day: Annotated[float | None, Field(ge=0, allow_inf_nan=False)] = None
    claude_key_variable: str | None = None
    """The environment variable with the key for Claude that this client's calls use, instead of the proxy's own."""
    claude_key_file: Path | None = None
    """The same, in a file."""
    cache: bool | None = None
    """Whether its answers may be given again, whatever `cache.mode` says; None leaves it to that."""
    created: datetime | None = None
    revoked: datetime | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "ClientKey":
        if self.claude_key_variable and self.claude_key_file:
            raise ValueError("claude_key_variable and claude_key_file exclude each other")
        return self

    def read_claude_key(self) -> str | None:
        """Read the client's own key for Claude.

        Raises:
            KeyFileError: it is named, and not there.
        """
        if self.claude_key_variable:
            key = os.environ.get(self.claude_key_variable, "").strip()
            source = f"environment variable {self.claude_key_variable}"
        elif self.claude_key_file:
            source = str(self.claude_key_file)
            try:
                key = self.claude_key_file.expanduser().read_text().strip()
            except (OSError, UnicodeDecodeError) as error:
                raise KeyFileError(f"the key for Claude of '{self.name}' cannot be read from {source}") from error
        else:
            return None
        if not key or not key.isascii() or not key.isprintable():
            raise KeyFileError(f"the key for Claude of '{self.name}' is not in {source}")
        return key


class _KeyFile(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    keys: tuple[ClientKey, ...]


def digest_of(key: str) -> str:
    """Digest a key, as it is kept."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def new_key(name: str, **more: object) -> tuple[str, ClientKey]:
    """Make a key; return it, for the one time that it is shown, and what is kept of it.

    Raises:
        pydantic.ValidationError: the name or a limit is not one.
    """
    key = PREFIX + secrets.token_urlsafe(32)
    created = datetime.now(UTC).replace(microsecond=0)
    return key, ClientKey.model_validate({"name": name, "sha256": digest_of(key), "created": created, **more})


def require_unique(keys: Sequence[ClientKey]) -> None:
    """Check that no two keys in use have one name, because limits and the log go by it.

    Raises:
        KeyFileError: two have.
    """
    names = [key.name for key in keys if key.revoked is None]
    if twice := {name for name in names if names.count(name) > 1}:
        raise KeyFileError(f"two keys are named '{min(twice)}'")


def read_key_file(path: Path) -> tuple[ClientKey, ...]:
    """Read the keys of a file; none if there is no file.

    Raises:
        KeyFileError: it cannot be read or understood.
    """
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return _KeyFile.model_validate_json(text).keys
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise KeyFileError(f"{path} cannot be understood: {where}: {first['msg']}") from None


def change_key_file(path: Path, change: Callable[[tuple[ClientKey, ...]], Sequence[ClientKey] | None]) -> None:
    """Write what `change` makes of the keys that are there, whole or not at all; None leaves the file alone.

    Raises:
        KeyFileError: the file cannot be read, understood or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _locked(path.with_name(f".{path.name}.lock")):
            keys = change(read_key_file(path))
            if keys is not None:
                _write(path, keys)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be written: {error.strerror}") from error


def _write(path: Path, keys: Sequence[ClientKey]) -> None:
    text = _KeyFile(keys=tuple(keys)).model_dump_json(indent=2, exclude_defaults=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".keys-")  # readable by its owner alone
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process at a time change the file: two that start together must not each make the first key."""
    with path.open("w") as file:
        if sys.platform != "win32":
            import fcntl  # noqa: PLC0415 - there is none on Windows, where two at a time are the operator's to avoid

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
