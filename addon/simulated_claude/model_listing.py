"""`GET /v1/models`: pages, filters, one model (https://platform.claude.com/docs/en/api/models/list)."""

from collections.abc import Sequence
from typing import Any

from multidict import MultiMapping

from addon.simulated_claude.errors import ClaudeError, invalid_request
from addon.simulated_claude.model_table import find_model, list_models, model_info

__all__ = ["find_model_info", "page_of", "page_of_models"]

DEFAULT_LIMIT = 20
MAX_LIMIT = 1000
LIFECYCLES = ("active", "deprecated", "retired")


def page_of_models(query: MultiMapping[str]) -> dict[str, Any]:
    """One page of models, newest first. Raises ClaudeError for a query that Claude refuses."""
    stages = [*query.getall("lifecycle", []), *query.getall("lifecycle[]", [])]
    for stage in stages:
        if stage not in LIFECYCLES:
            raise invalid_request("lifecycle.0: Input should be 'active', 'deprecated' or 'retired'")
    return page_of(query, [model_info(model) for model in list_models() if not stages or model.lifecycle in stages])


def page_of(query: MultiMapping[str], listed: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One page of a list in its order. Raises ClaudeError for a query that Claude refuses."""
    try:
        limit = int(query.get("limit", DEFAULT_LIMIT))
    except ValueError:
        raise invalid_request("limit: Input should be a valid integer, unable to parse string as an integer") from None
    if limit < 1:
        raise invalid_request("limit: Input should be greater than or equal to 1")
    if limit > MAX_LIMIT:
        raise invalid_request(f"limit: Input should be less than or equal to {MAX_LIMIT}")
    ids = [one["id"] for one in listed]
    start, end = 0, min(limit, len(ids))
    more = end < len(ids)
    if after := query.get("after_id"):
        start = ids.index(after) + 1 if after in ids else len(ids)
        end = min(start + limit, len(ids))
        more = end < len(ids)
    elif before := query.get("before_id"):
        end = ids.index(before) if before in ids else 0
        start = max(0, end - limit)
        more = start > 0
    page = list(listed[start:end])
    return {
        "data": page,
        "has_more": more,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
    }


def find_model_info(model_id: str) -> dict[str, Any]:
    """One model by id or alias. Raises ClaudeError 404 for others."""
    model = find_model(model_id)
    if model is None:
        raise ClaudeError(404, f"model: {model_id}")
    return model_info(model)
