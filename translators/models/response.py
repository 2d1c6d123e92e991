"""Claude's models, and the names that stand for them, as OpenAI's list of models.

| OpenAI | Claude |
|---|---|
| id | id, or an alias that the operator configured |
| created | created_at, in seconds since 1970 |
| owned_by | `anthropic` for Claude's own ids, `openai` for aliases: clients switch on these names |
| shutdown_date | the day of retires_at |

Retired models are left out: every request for one fails. https://platform.claude.com/docs/en/api/models-list
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from translators.errors import OpenAIError

__all__ = ["translate_model", "translate_models"]

CREATED_UNKNOWN = 1_735_689_600
"""2025-01-01, for what has no date: an alias, or a model of a host that tells none.

OpenAI's `created` is never null.
"""


class _Model(msgspec.Struct, frozen=True):
    id: str
    object: Literal["model"]
    created: int
    owned_by: Literal["anthropic", "openai"]
    shutdown_date: str | None = None


class _ModelList(msgspec.Struct, frozen=True):
    object: Literal["list"]
    data: list[_Model]


def translate_models(entries: Iterable[Mapping[str, Any]], aliases: Iterable[str]) -> bytes:
    """Translate the list.

    `entries` are those of Claude's `GET /v1/models`; an alias that is a pattern names no model.
    """
    return msgspec.json.encode(_ModelList("list", list(_gather(entries, aliases).values())))


def translate_model(model: str, entries: Iterable[Mapping[str, Any]], aliases: Iterable[str]) -> bytes:
    """Translate one model.

    Raises:
        OpenAIError: 404 model_not_found.
    """
    found = _gather(entries, aliases).get(model)
    if found is None:
        raise OpenAIError(404, f"The model '{model}' does not exist", param="model", code="model_not_found")
    return msgspec.json.encode(found)


def _gather(entries: Iterable[Mapping[str, Any]], aliases: Iterable[str]) -> dict[str, _Model]:
    models: dict[str, _Model] = {}
    for entry in entries:
        model_id = entry.get("id")
        if isinstance(model_id, str) and model_id and entry.get("lifecycle") != "retired":
            models[model_id] = _Model(
                model_id, "model", _created(entry.get("created_at")), "anthropic", _day(entry.get("retires_at"))
            )
    for alias in aliases:
        if not any(wildcard in alias for wildcard in "*?["):
            models.setdefault(alias, _Model(alias, "model", CREATED_UNKNOWN, "openai"))
    return models


def _created(value: Any) -> int:
    time = _parse_time(value)
    return CREATED_UNKNOWN if time is None else int(time.timestamp())


def _day(value: Any) -> str | None:
    time = _parse_time(value)
    return None if time is None else time.date().isoformat()


def _parse_time(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None
