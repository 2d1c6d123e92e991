"""All settings: their sections, where each may come from, which source wins, and what is said when one is wrong.

Sources, the strongest first: what is given explicitly (command line flags, mitmproxy options), the environment, one
configuration file (JSON or TOML), the defaults. What a section is made of is in `addon.configuration.section`.
"""

import difflib
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, override

import msgspec
from pydantic import BaseModel, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from addon.configuration.claude_settings import CacheSettings, ClaudeSettings, ThinkingSettings
from addon.configuration.client_settings import (
    AccessSettings,
    EgressSettings,
    InterceptionSettings,
    LimitSettings,
    RateLimitingSettings,
    StreamSettings,
)
from addon.configuration.operation_settings import (
    LoggingSettings,
    MetricsSettings,
    ServerSettings,
    StoreSettings,
    TracingSettings,
)
from addon.configuration.other_backend_settings import OtherBackendTable
from addon.configuration.section import Names
from addon.configuration.values import split_commas

__all__ = [
    "ALL_SETTINGS",
    "MissingKeyError",
    "Setting",
    "Settings",
    "SettingsError",
    "find_foreign_file",
    "load_settings",
    "nest",
    "sources_of",
    "value_of",
]

DEFAULT_FILES = ("config.json", "config.toml")

_ALIKE = 0.8
"""How much two names have to be, for `difflib`: two letters of five may be exchanged."""


class SettingsError(ValueError):
    """Settings that cannot be used: `problems` holds one sentence each, and never the value of a secret."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class MissingKeyError(SettingsError):
    """There is neither a key for Claude nor the wish to simulate it."""

    def __init__(self) -> None:
        simulate = "CLAUDE_PROXY_SIMULATE=1, claude-proxy's --simulate, mitmdump's --set claude_simulate=true"
        super().__init__([f"No key for Claude: set ANTHROPIC_API_KEY, or simulate it: {simulate}."])


class Settings(BaseSettings):
    """All settings, merged and checked. Frozen: a change of settings is a new object."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    config: Annotated[Path | None, Names("CLAUDE_PROXY_CONFIG", "claude_config", "--config")] = Field(
        default=None,
        description="Configuration file, .json or .toml; unset means ./config.json or ./config.toml, if present.",
    )
    server: ServerSettings = ServerSettings()
    claude: ClaudeSettings = ClaudeSettings()
    access: AccessSettings = AccessSettings()
    logging: LoggingSettings = LoggingSettings()
    rate_limiting: RateLimitingSettings = RateLimitingSettings()
    interception: InterceptionSettings = InterceptionSettings()
    egress: EgressSettings = EgressSettings()
    limits: LimitSettings = LimitSettings()
    stream: StreamSettings = StreamSettings()
    thinking: ThinkingSettings = ThinkingSettings()
    store: StoreSettings = StoreSettings()
    cache: CacheSettings = CacheSettings()
    metrics: MetricsSettings = MetricsSettings()
    tracing: TracingSettings = TracingSettings()
    other_backends: Annotated[OtherBackendTable, Names("CLAUDE_PROXY_OTHER_BACKENDS")] = Field(
        default_factory=dict,
        description="Servers for the paths that Claude has no endpoint for, standalone only: a table of patterns "
        "such as /v1/embeddings; in the environment as JSON.",
    )

    @override
    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Name the sources, the strongest first."""
        return init_settings, EnvironmentSource(settings_cls), FileSource(settings_cls)

    def require_key(self) -> None:
        """Raise `MissingKeyError` if Claude's own API is to be asked, and there is no key nor what stands for one."""
        if self.claude.needs_key and not self.has_first_party:
            raise MissingKeyError

    @property
    def has_key(self) -> bool:
        """Whether there is a key for Claude's own API, or what stands for that."""
        return self.claude.simulate or bool(self.claude.api_key and self.claude.api_key.get_secret_value())

    @property
    def has_first_party(self) -> bool:
        """Whether Claude's own API may be asked, be it with keys of the clients alone."""
        return self.has_key or self.access.bring_your_own_key

    @property
    def answers_without_claude_key(self) -> bool:
        """Whether a client that brings no key for Claude can be answered."""
        return self.has_key or not self.claude.needs_key


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as the other sources see it: its path in the file, its names, its field."""

    path: tuple[str, ...]
    names: Names
    field: FieldInfo

    @property
    def dotted(self) -> str:
        """The name of the setting in messages and in the documentation, such as `claude.timeout`."""
        return ".".join(self.path)


def _walk(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[Setting]:
    for name, field in model.model_fields.items():
        names = next((item for item in field.metadata if isinstance(item, Names)), None)
        if names is not None:
            yield Setting((*path, name), names, field)
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _walk(field.annotation, (*path, name))


ALL_SETTINGS = tuple(_walk(Settings))
"""Every setting, in the order of the documentation."""

_SECTIONS = frozenset(setting.path[0] for setting in ALL_SETTINGS if len(setting.path) > 1)

_BY_PATH = {setting.path: setting for setting in ALL_SETTINGS}


def nest(values: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    """Turn `{("claude", "timeout"): 5}` into the nested form that `load_settings` takes."""
    nested: dict[str, Any] = {}
    for (*sections, name), value in values.items():
        table = nested
        for section in sections:
            table = table.setdefault(section, {})
        table[name] = value
    return nested


class EnvironmentSource(PydanticBaseSettingsSource):
    """Reads each setting's own environment variable. An empty variable counts as unset."""

    @override
    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Part of the base class; this source answers for all fields at once."""
        return None, field_name, False

    @override
    def __call__(self) -> dict[str, Any]:
        values: dict[tuple[str, ...], Any] = {}
        for setting in ALL_SETTINGS:
            if value := os.environ.get(setting.names.env, "").strip():
                # As a list, aliases replace those of the file; as a table they would be merged into them.
                values[setting.path] = split_commas(value) if setting.path == ("claude", "aliases") else value
        return nest(values)


class FileSource(PydanticBaseSettingsSource):
    """Reads the file that stronger sources name, else one of `DEFAULT_FILES` in the working directory."""

    @override
    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Part of the base class; this source answers for all fields at once."""
        return None, field_name, False

    @override
    def __call__(self) -> dict[str, Any]:
        path = _find_file(self.current_state.get("config"))
        return {} if path is None else {**_read_file(path), "config": path}


def _find_file(named: str | Path | None) -> Path | None:
    if named:
        return Path(named).expanduser()
    # An app's own config.json may lie where the proxy is started: only a file with a section of ours is ours.
    ours = [path for path in _files_here() if _is_ours(path)]
    if len(ours) > 1:
        raise SettingsError([f"Both {' and '.join(map(str, ours))} are here: name one of them with --config."])
    return ours[0] if ours else None


def find_foreign_file(settings: Settings) -> Path | None:
    """Find a configuration file that is left alone where none is in force: somebody may think that it is ours."""
    return next((path for path in _files_here() if not _is_ours(path)), None) if settings.config is None else None


def _files_here() -> list[Path]:
    return [path for name in DEFAULT_FILES if (path := Path(name)).is_file()]


def _is_ours(path: Path) -> bool:
    table = _read_file(path)
    return bool(table.keys() & Settings.model_fields.keys()) or any(map(_is_misspelt_section, table, table.values()))


def _is_misspelt_section(name: str, held: object) -> bool:
    """Whether a table is plainly meant to be a section: it holds a setting of one that is named much like it.

    Its name alone does not say so, nor what it holds: other programs have `servers`, and a `path` in their `storage`.
    """
    if not isinstance(held, dict):
        return False
    meant = difflib.get_close_matches(name.casefold(), _SECTIONS, n=1, cutoff=_ALIKE)
    return bool(meant) and abs(len(name) - len(meant[0])) <= 1 and any((meant[0], key) in _BY_PATH for key in held)


def _read_file(path: Path) -> dict[str, Any]:
    parsers: dict[str, Callable[[bytes], object]] = {
        ".json": msgspec.json.decode,
        ".toml": lambda data: tomllib.loads(data.decode()),
    }
    parse = parsers.get(path.suffix.lower())
    if parse is None:
        raise SettingsError([f"{path}: a configuration file ends in .json or .toml."])
    try:
        table = parse(path.read_bytes())
    except OSError as error:
        raise SettingsError([f"{path} cannot be read: {error.strerror}."]) from None
    except ValueError as error:  # msgspec's, tomllib's and the decoding's errors are all ValueErrors
        raise SettingsError([f"{path} cannot be understood: {error}."]) from None
    if not isinstance(table, dict):
        raise SettingsError([f"{path} holds no table of settings."])
    table.pop("$schema", None)  # for editors
    # What wins over a section would hide that it is none.
    if wrong := [name for name in table.keys() & _SECTIONS if not isinstance(table[name], dict)]:
        raise SettingsError([f"{name} ({path}): it has to be a table of settings." for name in sorted(wrong)])
    if "config" in table:
        raise SettingsError([f"config ({path}): a configuration file cannot name another one."])
    return table


def load_settings(
    explicit: Mapping[str, Any] | None = None, *, describe: Callable[[Setting], str | None] | None = None
) -> Settings:
    """Merge all sources into one `Settings`.

    `explicit` is nested as in the file; `describe` says where an explicit value came from (`--port`). Raises
    `SettingsError` with one sentence per problem, each naming the setting and its source.
    """
    explicit = dict(explicit or {})
    try:
        return Settings(**explicit)
    except ValidationError as error:
        problems = [
            _sentence(tuple(map(str, item["loc"])), item["type"], item["msg"], explicit, describe)
            for item in error.errors(include_input=False, include_url=False, include_context=False)
        ]
    raise SettingsError(problems)


def value_of(settings: Settings, setting: Setting) -> Any:
    """Look up the value of a setting."""
    value: Any = settings
    for name in setting.path:
        value = getattr(value, name)
    return value


def sources_of(
    settings: Settings, explicit: Mapping[str, Any], describe: Callable[[Setting], str | None]
) -> dict[str, str]:
    """Say where each setting of `load_settings(explicit)` comes from, by its dotted name."""
    table = _read_file(settings.config) if settings.config is not None else {}

    def source(setting: Setting) -> str:
        if _holds(explicit, setting.path):
            return describe(setting) or "given"
        if os.environ.get(setting.names.env, "").strip():
            return f"environment variable {setting.names.env}"
        if _holds(table, setting.path):
            return str(settings.config)
        return "default" if setting.path != ("config",) or settings.config is None else "found here"

    return {setting.dotted: source(setting) for setting in ALL_SETTINGS}


def _sentence(
    loc: tuple[str, ...],
    kind: str,
    message: str,
    explicit: Mapping[str, Any],
    describe: Callable[[Setting], str | None] | None,
) -> str:
    setting = next((found for end in range(len(loc), 0, -1) if (found := _BY_PATH.get(loc[:end]))), None)
    if kind == "extra_forbidden" and setting is None:
        name, file = ".".join(loc), None if _holds(explicit, loc) else _file_of(explicit)
        known = [setting.dotted for setting in ALL_SETTINGS] if len(loc) > 1 else list(Settings.model_fields)
        close = difflib.get_close_matches(name, known, n=1)
        return f"{name}{f' ({file})' if file else ''} is no setting{f'; did you mean {close[0]}?' if close else '.'}"
    if setting is None:
        return f"{'.'.join(loc)}: {message}."
    if _holds(explicit, setting.path):
        source = describe(setting) if describe else None
    elif os.environ.get(setting.names.env, "").strip():
        source = f"environment variable {setting.names.env}"
    else:
        source = str(_file_of(explicit))
    place = ".".join((setting.dotted, *(part for part in loc[len(setting.path) :] if not part.isdecimal())))
    return f"{place}{f' ({source})' if source else ''}: {message.removeprefix('Value error, ')}."


def _file_of(explicit: Mapping[str, Any]) -> Path | None:
    return _find_file(explicit.get("config") or os.environ.get("CLAUDE_PROXY_CONFIG"))


def _holds(table: Any, path: tuple[str, ...]) -> bool:
    for name in path:
        if not isinstance(table, dict) or name not in table:
            return False
        table = table[name]
    return True
