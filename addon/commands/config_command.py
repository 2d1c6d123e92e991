"""`claude-proxy config`: the settings in force and where they come from, a check of them, and their schema."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from pydantic import BaseModel, SecretStr

from addon.configuration.settings import ALL_SETTINGS, Settings, find_foreign_file, value_of

__all__ = ["check_config", "config_schema", "schema", "show_config"]

_MASKED = "********"
_CREDENTIALS = re.compile(r"(://)[^/@]+@")
"""A proxy may be named with a password."""


def show_config(settings: Settings, sources: Mapping[str, str], *, as_json: bool) -> int:
    """Print every setting with its source, secrets masked. Returns the exit status."""
    shown = {setting.dotted: _masked(value_of(settings, setting)) for setting in ALL_SETTINGS}
    if as_json:
        entries = {name: {"value": value, "source": sources[name]} for name, value in shown.items()}
        print(msgspec.json.format(msgspec.json.encode(entries), indent=2).decode())
        return 0
    for name, value in shown.items():
        text = "" if value is None else msgspec.json.encode(value).decode()
        print(f"{name} = {text}".rstrip() + f"  ({sources[name]})")
    return 0


def _masked(value: Any) -> Any:
    """Return a value in the types of JSON, without the secrets in it; tables without what they leave to its default."""
    match value:
        case SecretStr():
            return _MASKED if value.get_secret_value() else None
        case str():
            return _CREDENTIALS.sub(rf"\1{_MASKED}@", value)
        case BaseModel():
            return _masked(value.model_dump(exclude_defaults=True))
        case dict():
            return {name: _masked(each) for name, each in value.items()}
        case tuple():
            return [_masked(each) for each in value]
        case None | bool() | int() | float():
            return value
        case _:
            return str(value)


def check_config(settings: Settings) -> int:
    """Say that the settings, which have been read, can be used. Returns the exit status."""
    settings.require_key()
    foreign = find_foreign_file(settings)
    unread = f"No configuration file ({foreign} has no section of the proxy's)" if foreign else "No configuration file"
    print(f"{settings.config or unread}: the settings can be used.")
    return 0


def config_schema() -> int:
    """Print the JSON Schema of a configuration file, for editors. Returns the exit status."""
    print(msgspec.json.format(msgspec.json.encode(schema()), indent=2).decode())
    return 0


def schema() -> dict[str, Any]:
    """Make the JSON Schema of a configuration file."""
    made = Settings.model_json_schema()
    # A file cannot name another one; what it may name is its schema.
    del made["properties"]["config"]
    made["properties"]["$schema"] = {"type": "string"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **made,
        "title": "Configuration of Claude Proxy",
        "description": "config.json or config.toml; docs/configuration.md explains each setting.",
    }
