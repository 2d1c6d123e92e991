"""What the start, and new settings, say of the models that the settings name."""

from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from addon.access.access import Access
from addon.claude.client import ClaudeClient
from addon.configuration.settings import Settings, load_settings
from addon.exchanges.gateway import open_gateway

type SettingsMaker = Callable[..., Settings]


@pytest.fixture
def settings_with(clean_environment: Path) -> SettingsMaker:
    def make(**claude: Any) -> Settings:
        return load_settings({"claude": {"simulate": True, **claude}, "store": {"path": ":memory:"}})

    return make


@asynccontextmanager
async def gateway_of(settings: Settings):
    gateway = await open_gateway(settings, Access(settings.access, Path("keys.json")))
    yield gateway
    await gateway.close()


def unknown(logs: list[Any]) -> list[Any]:
    return [line for line in logs if line["event"] == "models_unknown"]


@pytest.mark.parametrize(
    "claude",
    [
        {"default_model": "claude-sonet-5-5"},
        {"aliases": {"fast": "claude-sonet-5-5", "slow": "claude-opus-5"}},
        {"fallbacks": ["claude-haiku-5-5", "claude-sonet-5-5", "claude-sonet-5-5"]},
    ],
    ids=["default_model", "aliases", "fallbacks"],
)
async def test_a_model_that_nobody_knows_is_told_at_the_start(
    settings_with: SettingsMaker, claude: dict[str, Any]
) -> None:
    with capture_logs() as logs:
        async with gateway_of(settings_with(**claude)):
            pass
    [line] = unknown(logs)
    assert (line["log_level"], line["models"]) == ("warning", ["claude-sonet-5-5"])
    assert "404" in line["detail"]


@pytest.mark.parametrize(
    "model",
    ["claude-sonnet-5-5", "claude-3-opus-20240229", "claude-next-9", "bedrock:us.anthropic.claude-next-9"],
    ids=["known", "retired", "of-the-list", "of-a-cloud"],
)
async def test_nothing_is_said_of_a_model_that_is_known_or_elsewhere(
    settings_with: SettingsMaker, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    async def models(_client: ClaudeClient) -> list[dict[str, Any]]:
        return [{"id": "claude-next-9"}]

    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setattr(ClaudeClient, "models", models)
    with capture_logs() as logs:
        async with gateway_of(settings_with(default_model=model)):
            pass
    assert unknown(logs) == []


async def test_new_settings_are_looked_at_too_and_the_same_models_told_once(settings_with: SettingsMaker) -> None:
    with capture_logs() as logs:
        async with gateway_of(settings_with()) as gateway:
            for show in ("asked", "always"):
                gateway.apply(settings_with(default_model="claude-sonet-5-5", show_thinking=show))
    [line] = unknown(logs)
    assert line["models"] == ["claude-sonet-5-5"]
