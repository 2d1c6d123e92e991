"""What all parts of a request have in common: closed objects, fields behind a beta header, cache markers."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationInfo
from pydantic_core import PydanticCustomError

__all__ = ["CacheControl", "Cacheable", "Shape", "beta", "text_as_blocks"]


class Shape(BaseModel):
    """A closed object: an unknown field is an error, and no value is converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


def beta(*headers: str) -> BeforeValidator:
    """Make a field exist only when `anthropic-beta` names one of `headers`."""

    def check(value: Any, info: ValidationInfo) -> Any:
        if not (info.context or {}).get("betas", frozenset()) & set(headers):
            raise PydanticCustomError("extra_forbidden", "Extra inputs are not permitted")
        return value

    return BeforeValidator(check)


def text_as_blocks(value: Any) -> Any:
    """Read a string as one text block."""
    return [{"type": "text", "text": value}] if isinstance(value, str) else value


class CacheControl(Shape):
    """A cache breakpoint."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None
    scope: Annotated[Any, beta("prompt-caching-scope-2026-01-05")] = None


class Cacheable(Shape):
    """A block or tool that may carry a cache breakpoint."""

    cache_control: CacheControl | None = None
