"""The list of models, and what becomes of the names that apps ask for."""

import re
from typing import Any

import pytest
from openai import NotFoundError, OpenAI

from tests.contract.simulated_upstream import SimulatedUpstream

HELLO: Any = [{"role": "user", "content": "Hello"}]


def test_E15_the_list_holds_claudes_models_and_the_aliases(client: OpenAI) -> None:
    models = {model.id: model for model in client.models.list()}
    assert models["claude-sonnet-5-5"].owned_by == "anthropic"
    assert models["claude-sonnet-5-5"].created == 1_790_553_600
    assert models["my-alias"].owned_by == "openai"
    assert not any("*" in name for name in models)


def test_one_model_is_retrieved(client: OpenAI) -> None:
    model = client.models.retrieve("claude-opus-5-5")
    assert (model.id, model.object) == ("claude-opus-5-5", "model")
    for name in ("my-alias", "gpt-17", "claude-3-opus-20240229"):
        assert client.models.retrieve(name).id == name  # a chat with it is answered


def test_an_unknown_model_of_claude_is_not_found(client: OpenAI) -> None:
    with pytest.raises(NotFoundError) as raised:
        client.models.retrieve("claude-17")
    assert raised.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("asked", "answers"),
    [
        ("gpt-4o", "claude-sonnet-5-5"),
        ("o3-mini", "claude-sonnet-5-5"),
        ("ft:gpt-4o:acme::abc", "claude-sonnet-5-5"),
        ("fast-one", "claude-haiku-4-5"),
        ("my-alias", "claude-opus-4-6"),
        ("claude-opus-5-5", "claude-opus-5-5"),
        ("claude-3-haiku-20240307", "claude-haiku-4-5-20251001"),
        ("claude-3-5-sonnet-20241022", "claude-sonnet-5-5"),
        ("claude-3-opus-20240229", "claude-opus-4-8"),
        ("claude-2.1", "claude-sonnet-5-5"),
    ],
)
def test_the_name_that_was_asked_for_comes_back(
    client: OpenAI, claude: SimulatedUpstream, asked: str, answers: str
) -> None:
    raw = client.chat.completions.with_raw_response.create(model=asked, messages=HELLO)
    assert raw.parse().model == asked
    assert claude.last["model"] == answers
    is_retired = re.match(r"claude-(2|3)", asked) is not None
    assert raw.headers.get("x-claude-proxy-warnings") == ("model=changed" if is_retired else None)


def test_a_claude_id_that_does_not_exist_is_claudes_to_refuse(client: OpenAI, claude: SimulatedUpstream) -> None:
    with pytest.raises(NotFoundError) as raised:
        client.chat.completions.create(model="claude-nonesuch-9", messages=HELLO)
    assert raised.value.code == "model_not_found"
    assert "claude-nonesuch-9" in raised.value.message
    assert claude.calls[-1].status == 404
