"""The mitmproxy options: what they are, and when they override the other sources."""

from __future__ import annotations

import pytest
from mitmproxy.addonmanager import Loader
from mitmproxy.test import taddons

from addon.configuration.options import add_options, read_settings, take_early_options
from addon.configuration.settings import ALL_SETTINGS, Settings, SettingsError

pytestmark = pytest.mark.usefixtures("clean_environment")


class OptionsOnly:
    def load(self, loader):
        add_options(loader)


@pytest.fixture
async def options():
    with taddons.context(OptionsOnly()) as context:
        yield context.options


async def test_no_option_set_means_the_defaults(options):
    assert read_settings(options) == Settings()


async def test_every_setting_but_keys_and_what_serve_alone_does_has_an_option(options):
    without = {setting.dotted for setting in ALL_SETTINGS if setting.names.option is None}
    assert without == {
        "access.keys",
        "claude.api_key",
        "server.drain_delay",
        "server.host",
        "server.port",
        "server.workers",
        "server.huge_pages",
        "rate_limiting.redis_url",
        "other_backends",
        "store.redis_url",
        "metrics.exporter",
        "metrics.exporter_host",
        "metrics.exporter_port",
        "store.secret",
    }
    for setting in ALL_SETTINGS:
        if setting.names.option:
            assert setting.names.option.startswith("claude_")
            assert setting.names.option in options


@pytest.mark.parametrize(
    ("spec", "path", "expected"),
    [
        (["claude_simulate=true"], "claude.simulate", True),
        (["claude_base_url=http://127.0.0.1:9"], "claude.base_url", "http://127.0.0.1:9"),
        (["claude_default_model=claude-opus-5"], "claude.default_model", "claude-opus-5"),
        (["claude_hosts=a.example", "claude_hosts=b.example"], "interception.hosts", ("a.example", "b.example")),
        (["claude_untranslated=refuse"], "interception.untranslated", "refuse"),
        (
            ["claude_aliases=gpt-*=claude-x", "claude_aliases=*=claude-y"],
            "claude.aliases",
            {"gpt-*": "claude-x", "*": "claude-y"},
        ),
        (["claude_timeout=2.5"], "claude.timeout", 2.5),
        (["claude_max_tokens_limit=100"], "claude.max_tokens_limit", 100),
        (["claude_log_level=error"], "logging.level", "ERROR"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
async def test_an_option_sets_its_setting(options, spec, path, expected):
    options.set(*spec)
    section, field = path.split(".")
    assert getattr(getattr(read_settings(options), section), field) == expected


async def test_an_unset_option_leaves_the_environment_in_force(options, monkeypatch):
    monkeypatch.setenv("CLAUDE_PROXY_TIMEOUT", "7")
    monkeypatch.setenv("CLAUDE_PROXY_PROMPT_CACHING", "false")
    settings = read_settings(options)
    assert (settings.claude.timeout, settings.claude.prompt_caching) == (7, False)


async def test_an_option_set_to_its_own_default_still_wins_over_the_environment(options, monkeypatch):
    monkeypatch.setenv("CLAUDE_PROXY_SIMULATE", "1")
    monkeypatch.setenv("CLAUDE_PROXY_MAX_RETRIES", "5")
    options.set("claude_simulate=false", "claude_max_retries=2")
    settings = read_settings(options)
    assert (settings.claude.simulate, settings.claude.max_retries) == (False, 2)


async def test_a_file_named_by_option_is_read(options, tmp_path):
    (tmp_path / "proxy.toml").write_text("[claude]\ntimeout = 9\n")
    options.set(f"claude_config={tmp_path / 'proxy.toml'}")
    assert read_settings(options).claude.timeout == 9


async def test_a_wrong_option_is_named(options):
    options.set("claude_timeout=soon")
    with pytest.raises(
        SettingsError, match=r"claude\.timeout \(option claude_timeout\): Input should be a valid number"
    ):
        read_settings(options)


@pytest.mark.parametrize(
    ("early", "said"),
    [
        ({"claude_timeout": 5}, "Expected <class 'str'> for claude_timeout, but got <class 'int'>."),
        ({"claude_max_retrys": 5}, "claude_max_retrys is no option; did you mean claude_max_retries?"),
        ({"claude_colour": "red"}, "claude_colour is no option."),
    ],
    ids=["type", "misspelt", "unknown"],
)
async def test_a_line_of_mitmproxys_config_yaml_that_cannot_be_used_is_named(early, said):
    with taddons.context() as context:
        context.options.update_defer(**early)
        add_options(Loader(context.master))
        with pytest.raises(SettingsError) as caught:
            take_early_options(context.options)
    assert caught.value.problems == (said,)
