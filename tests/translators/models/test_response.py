import json
from datetime import UTC, datetime

import pytest
from openai.types import Model

from translators.errors import OpenAIError
from translators.models.response import translate_model, translate_models

ENTRIES = [
    {"id": "claude-opus-5-5", "type": "model", "display_name": "Opus", "created_at": "2026-09-22T00:00:00Z"},
    {
        "id": "claude-haiku-4-5-20251001",
        "created_at": datetime(2025, 10, 1, tzinfo=UTC),
        "retires_at": "2026-12-15T00:00:00Z",
    },
    {"id": "claude-3-opus-20240229", "created_at": "2024-02-29T00:00:00Z", "lifecycle": "retired"},
]
ALIASES = ["gpt-5.5", "gpt-*", "claude-opus-5-5"]


def test_E15_the_list_has_openais_shape():
    models = json.loads(translate_models(ENTRIES, ALIASES))
    assert models["object"] == "list"
    assert [model["id"] for model in models["data"]] == ["claude-opus-5-5", "claude-haiku-4-5-20251001", "gpt-5.5"]
    assert [model["owned_by"] for model in models["data"]] == ["anthropic", "anthropic", "openai"]
    assert [model["shutdown_date"] for model in models["data"]] == [None, "2026-12-15", None]
    assert models["data"][0]["created"] == 1_790_035_200
    for model in models["data"]:
        Model.model_validate(model, strict=True)


@pytest.mark.parametrize("created_at", [None, "", "yesterday", 5])
def test_E15_created_is_always_a_number(created_at):
    (model,) = json.loads(translate_models([{"id": "claude-x", "created_at": created_at}], []))["data"]
    assert type(model["created"]) is int


@pytest.mark.parametrize("entry", [{}, {"id": None}, {"id": ""}])
def test_E15_an_entry_without_an_id_is_left_out(entry):
    assert json.loads(translate_models([entry], []))["data"] == []


@pytest.mark.parametrize("model", ["claude-opus-5-5", "gpt-5.5"])
def test_one_model_is_the_same_as_in_the_list(model):
    in_list = {entry["id"]: entry for entry in json.loads(translate_models(ENTRIES, ALIASES))["data"]}
    assert json.loads(translate_model(model, ENTRIES, ALIASES)) == in_list[model]


@pytest.mark.parametrize("model", ["gpt-4", "gpt-*", "", "claude-3-opus-20240229"])
def test_a_model_that_is_not_there_is_openais_404(model):
    with pytest.raises(OpenAIError) as caught:
        translate_model(model, ENTRIES, ALIASES)
    assert (caught.value.status, caught.value.code) == (404, "model_not_found")
    assert caught.value.message == f"The model '{model}' does not exist"
