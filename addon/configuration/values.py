"""The values that settings take, as the sources of the settings write them."""

import importlib.metadata
import ipaddress
import re
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from pydantic import AfterValidator, AnyHttpUrl, Field, SecretStr, TypeAdapter

from addon.configuration.client_keys import ClientKey, require_unique
from translators.backends import ANTHROPIC, BACKENDS

__all__ = [
    "EgressRule",
    "HostPattern",
    "ModelName",
    "PathPattern",
    "Seconds",
    "claude_url",
    "header_value",
    "http_url",
    "lower",
    "needs_otel",
    "pair_up",
    "parse_json",
    "parse_keys",
    "redis_url",
    "split_commas",
    "unique_keys",
    "upper",
]


_REDIS_URL = "a Redis URL has the form redis://user:password@host:port/database, with options that redis-py knows"


def split_commas(value: object) -> object:
    """Environment variables hold lists as `a,b`; whatever is a list already stays as it is."""
    if isinstance(value, str):
        return tuple(part for item in value.split(",") if (part := item.strip()))
    return value


def pair_up(value: object) -> object:
    """Accept aliases as a table, or as `pattern=model` entries (a list, or separated by commas)."""
    entries = split_commas(value)
    if not isinstance(entries, list | tuple):
        return entries
    pairs: dict[str, str] = {}
    for entry in entries:
        pattern, equals, model = str(entry).partition("=")
        if not (equals and pattern.strip() and model.strip()):
            raise ValueError("each alias has the form pattern=model")
        pairs[pattern.strip()] = model.strip()
    return pairs


def _host_pattern(host: str) -> str:
    name = host.strip().lower().rstrip(".")
    if not re.fullmatch(r"(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?", name):
        raise ValueError("a host is a bare name such as api.openai.com or *.openai.azure.com, without scheme or port")
    return name


def _egress_rule(rule: str) -> str:
    rule = rule.strip().lower()
    try:
        return str(ipaddress.ip_network(rule))
    except ValueError:
        if "/" in rule:
            raise ValueError("a network is an address and the length of its prefix, such as 10.0.0.0/8") from None
    return _host_pattern(rule)


def http_url(value: str) -> str:
    """Check a URL of http or https; its last slash is taken off."""
    TypeAdapter(AnyHttpUrl).validate_python(value)
    return value.rstrip("/")


def claude_url(value: str) -> str:
    """Check the address of the Claude API. With the path that OpenAI's base URLs have, every call would be a 404."""
    url = http_url(value)
    if urlsplit(url).path.endswith(("/v1", "/v1/messages")):
        raise ValueError("leave out /v1 and what comes after it, which each call adds by itself")
    return url


def _path_pattern(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError("a pattern of paths starts with a slash, such as /v1/audio/*")
    return value


def parse_json(value: object) -> object:
    """Environment variables hold tables as JSON."""
    if isinstance(value, str):
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError:
            raise ValueError("it is no JSON object") from None
    return value


def header_value(value: SecretStr) -> SecretStr:
    """Check that a header can carry a key."""
    key = value.get_secret_value().strip()
    if not key.isascii() or not key.isprintable():
        raise ValueError("the key holds characters that no HTTP header can carry")
    return SecretStr(key)


def _model_name(value: str) -> str:
    backend, colon, _ = value.partition(":")
    if colon and (backend not in BACKENDS or backend == ANTHROPIC):
        known = ", ".join(f"{name}:" for name in BACKENDS if name != ANTHROPIC)
        raise ValueError(f"a model is a Claude id, or begins with one of {known}")
    return value


def redis_url(value: SecretStr) -> SecretStr:
    """Check a URL of Redis as far as that goes without a connection: a wrong one would fail at every use."""
    # Imported for those who name a Redis: 9 MiB.
    from redis.asyncio import ConnectionPool  # noqa: PLC0415 - see above
    from redis.exceptions import RedisError  # noqa: PLC0415 - see above

    url = value.get_secret_value()
    found = re.match(r"(redis|rediss|unix)://.", url)
    if found is None:
        raise ValueError("a Redis URL starts with redis://, rediss:// or unix://")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(_REDIS_URL) from None
    if found[1] != "unix":
        try:
            is_port = parts.port != 0
        except ValueError:
            is_port = False
        if not is_port:
            raise ValueError("the port of a Redis URL is a number from 1 to 65535")
        if not re.fullmatch(r"/?[0-9]*", parts.path):
            raise ValueError("the path of a Redis URL is the number of a database, such as /0")
    try:
        pool: Any = ConnectionPool.from_url(url)  # its types are of both kinds, with and without decoding
        pool.make_connection()
    except (ValueError, TypeError, RedisError):
        raise ValueError(_REDIS_URL) from None
    return value


def needs_otel(value: bool) -> bool:
    """Refuse tracing where its packages are not installed."""
    if value:
        try:
            importlib.metadata.version("opentelemetry-exporter-otlp-proto-http")
        except importlib.metadata.PackageNotFoundError:
            raise ValueError("traces need more packages: pip install 'claude-proxy[otel]'") from None
    return value


def upper(value: object) -> object:
    """Read the name of a level."""
    if isinstance(value, str):
        level = value.strip().upper()
        return "WARNING" if level == "WARN" else level
    return value


def lower(value: object) -> object:
    """Read a name without regard to its case."""
    return value.strip().lower() if isinstance(value, str) else value


def parse_keys(value: object) -> object:
    """Accept the list as JSON, which is how an environment variable holds it."""
    return msgspec.json.decode(value) if isinstance(value, str) else value


def unique_keys(keys: tuple[ClientKey, ...]) -> tuple[ClientKey, ...]:
    """Refuse two keys of one name."""
    require_unique(keys)
    return keys


HostPattern = Annotated[str, AfterValidator(_host_pattern)]
PathPattern = Annotated[str, AfterValidator(_path_pattern)]
EgressRule = Annotated[str, AfterValidator(_egress_rule)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
ModelName = Annotated[str, Field(min_length=1), AfterValidator(_model_name)]
