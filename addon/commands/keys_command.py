"""`claude-proxy keys`: make, list and revoke client keys. A running proxy sees the change within a second."""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from addon.access.access import key_file_of
from addon.configuration.client_keys import (
    ClientKey,
    KeyFileError,
    change_key_file,
    new_key,
    read_key_file,
    require_unique,
)
from addon.configuration.settings import Settings

__all__ = ["KEY_FLAGS", "add_key", "list_keys", "revoke_key"]

KEY_FLAGS = (
    "models",
    "requests_per_minute",
    "burst_size",
    "tokens_per_minute",
    "concurrent_requests",
    "dollars_per_day",
    "claude_key_variable",
    "claude_key_file",
    "cache",
)
"""What a key may have of its own; each is a flag of `keys add`."""


def add_key(settings: Settings, name: str, given: Mapping[str, Any]) -> int:
    """Make a key and print it, alone on standard output. Returns the exit status."""
    more: dict[str, object] = dict(given)
    if "models" in given:
        more["models"] = [pattern.strip() for pattern in given["models"].split(",") if pattern.strip()]
    try:
        key, kept = new_key(name, **more)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False, include_context=False)[0]
        if problem["loc"] == ("name",):
            return _fail("A key's name is a letter or a digit, then letters, digits and ._@- as you like: 64 at most.")
        return _fail(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}.")

    def add(keys: tuple[ClientKey, ...]) -> Sequence[ClientKey]:
        if any(each.name == name and each.revoked is None for each in (*settings.access.keys, *keys)):
            raise KeyFileError(f"'{name}' has a key already: revoke it first, or choose another name")
        require_unique([*settings.access.keys, *keys, kept])
        return [*keys, kept]

    path = key_file_of(settings.access, settings.store)
    try:
        change_key_file(path, add)
    except KeyFileError as error:
        return _fail(f"{error}.")
    print(f"The key of '{name}' is shown this once; {path} keeps its digest.", file=sys.stderr)
    print(key)
    return 0


def list_keys(settings: Settings) -> int:
    """Print what is known of each key. Returns the exit status."""
    path = key_file_of(settings.access, settings.store)
    try:
        kept = read_key_file(path)
    except KeyFileError as error:
        return _fail(f"{error}.")
    for source, keys in (("configuration", settings.access.keys), (str(path), kept)):
        for key in keys:
            facts = key.model_dump(mode="json", exclude_defaults=True, exclude={"name", "sha256", "revoked"})
            state = f"revoked {key.revoked:%Y-%m-%d}" if key.revoked else "in use"
            rest = " ".join(f"{name}={_text(value)}" for name, value in facts.items())
            print(f"{key.name}\t{state}\t{source}\t{rest}".rstrip())
    if not (settings.access.keys or kept):
        print(f"There is no key, in the configuration or in {path}.", file=sys.stderr)
    return 0


def revoke_key(settings: Settings, name: str) -> int:
    """Revoke a key of the key file. Returns the exit status."""
    revoked: list[str] = []

    def revoke(keys: tuple[ClientKey, ...]) -> Sequence[ClientKey] | None:
        now = datetime.now(UTC).replace(microsecond=0)
        revoked.extend(key.name for key in keys if key.name == name and key.revoked is None)
        if not revoked:
            return None
        return [
            key.model_copy(update={"revoked": now}) if key.name == name and key.revoked is None else key for key in keys
        ]

    path = key_file_of(settings.access, settings.store)
    try:
        change_key_file(path, revoke)
    except KeyFileError as error:
        return _fail(f"{error}.")
    if not revoked:
        in_configuration = any(key.name == name for key in settings.access.keys)
        return _fail(
            f"'{name}' is in the configuration: take it out there."
            if in_configuration
            else f"{path} has no key in use named '{name}'."
        )
    print(f"The key of '{name}' is revoked.", file=sys.stderr)
    return 0


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _fail(problem: str) -> int:
    print(f"claude-proxy: {problem}", file=sys.stderr)
    return 1
