"""Settings: names, sources and their order, and messages a user can act on."""

from __future__ import annotations

import json

import pytest

from addon.configuration.settings import ALL_SETTINGS, MissingKeyError, Settings, SettingsError, load_settings, nest

pytestmark = pytest.mark.usefixtures("clean_environment")


@pytest.mark.parametrize(
    ("name", "value", "path", "expected"),
    [
        ("ANTHROPIC_BASE_URL", "http://127.0.0.1:9/", "claude.base_url", "http://127.0.0.1:9"),
        ("PORT", "8123", "server.port", 8123),
        ("HOST", "0.0.0.0", "server.host", "0.0.0.0"),
        ("LOG_LEVEL", "debug", "logging.level", "DEBUG"),
        ("LOG_LEVEL", "warn", "logging.level", "WARNING"),
        ("MAX_TOKENS_LIMIT", "4096", "claude.max_tokens_limit", 4096),
        ("RATE_LIMIT_REQUESTS", "60", "rate_limiting.requests_per_minute", 60),
        ("CLAUDE_PROXY_SIMULATE", "1", "claude.simulate", True),
        ("CLAUDE_PROXY_SIMULATE", "", "claude.simulate", False),
        (
            "CLAUDE_PROXY_HOSTS",
            "LLM.Example.com, *.corp.example",
            "interception.hosts",
            ("llm.example.com", "*.corp.example"),
        ),
        (
            "CLAUDE_PROXY_ALIASES",
            "gpt-4o*=claude-a, *=claude-b",
            "claude.aliases",
            {"gpt-4o*": "claude-a", "*": "claude-b"},
        ),
    ],
)
def test_an_environment_variable_of_the_documented_name_sets_its_setting(monkeypatch, name, value, path, expected):
    monkeypatch.setenv(name, value)
    section, field = path.split(".")
    assert getattr(getattr(load_settings(), section), field) == expected


def test_the_key_is_read_from_the_environment_and_never_shown(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", " sk-ant-made-up-key\n")
    settings = load_settings()
    assert settings.claude.api_key is not None
    assert settings.claude.api_key.get_secret_value() == "sk-ant-made-up-key"
    assert "made-up" not in repr(settings) + settings.model_dump_json()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.json", '{"server": {"port": 9001}, "claude": {"default_model": "claude-x", "timeout": 30}}'),
        ("config.toml", '[server]\nport = 9001\n[claude]\ndefault_model = "claude-x"\ntimeout = 30\n'),
    ],
)
def test_a_configuration_file_in_the_working_directory_is_read(clean_environment, name, text):
    (clean_environment / name).write_text(text)
    settings = load_settings()
    assert (settings.server.port, settings.claude.default_model, settings.claude.timeout) == (9001, "claude-x", 30)
    assert str(settings.config) == name


def test_all_the_users_own_names_are_accepted_in_the_file(clean_environment):
    (clean_environment / "config.json").write_text(
        json.dumps(
            {
                "server": {"host": "127.0.0.1", "port": 8000, "workers": 4},
                "claude": {"default_model": "claude-sonnet-5-5", "max_tokens": 4096, "timeout": 60},
                "logging": {"level": "INFO", "format": "json"},
                "rate_limiting": {"requests_per_minute": 60, "burst_size": 10},
            }
        )
    )
    settings = load_settings()
    assert settings.claude.max_tokens == 4096
    assert (settings.rate_limiting.requests_per_minute, settings.rate_limiting.burst_size) == (60, 10)


def test_explicit_wins_over_environment_wins_over_file_wins_over_default(clean_environment, monkeypatch):
    (clean_environment / "mine.toml").write_text(
        "[claude]\ntimeout = 1\nconnect_timeout = 1\nmax_retries = 1\n[claude.aliases]\nfile = 'x'\n"
    )
    monkeypatch.setenv("CLAUDE_PROXY_CONFIG", "mine.toml")
    monkeypatch.setenv("CLAUDE_PROXY_TIMEOUT", "2")
    monkeypatch.setenv("CLAUDE_PROXY_CONNECT_TIMEOUT", "2")
    monkeypatch.setenv("CLAUDE_PROXY_ALIASES", "environment=y")
    claude = load_settings({"claude": {"timeout": 3}}).claude
    assert (claude.timeout, claude.connect_timeout, claude.max_retries, claude.retry_after_limit) == (3, 2, 1, 60)
    assert claude.aliases == {"environment": "y"}, "a stronger source replaces the aliases, it does not mix them"


def test_an_explicit_file_wins_over_the_one_the_environment_names(clean_environment, monkeypatch):
    (clean_environment / "a.json").write_text('{"server": {"port": 1}}')
    (clean_environment / "b.json").write_text('{"server": {"port": 2}}')
    monkeypatch.setenv("CLAUDE_PROXY_CONFIG", "a.json")
    assert load_settings({"config": "b.json"}).server.port == 2


@pytest.mark.parametrize(
    "file",
    [
        {"database": {"url": "x"}},
        {"servers": {"github": {"port": 8080}}, "server_name": "x", "ports": [8080]},
        {"mcpServers": {"claude": {"command": "npx"}}},
        {"log": {"level": "info", "format": "json"}, "storage": {"path": "x"}, "Claude": {"apiKey": "x"}},
        {"servr": "port"},
        {},
    ],
    ids=["database", "servers", "mcp", "like-ours", "no-table", "empty"],
)
def test_another_programs_config_json_is_left_alone(clean_environment, file):
    (clean_environment / "config.json").write_text(json.dumps(file))
    assert load_settings().config is None


@pytest.mark.parametrize(
    ("name", "key", "meant"),
    [
        ("cluade", "simulate", "claude"),
        ("Claude", "api_key", "claude"),
        ("servr", "port", "server"),
        ("sever", "port", "server"),
        ("limit", "max_request_bytes", "limits"),
        ("acces", "keys", "access"),
        ("rate-limiting", "requests_per_minute", "rate_limiting"),
        ("rateLimiting", "requests_per_minute", "rate_limiting"),
        ("stroe", "path", "store"),
    ],
)
@pytest.mark.parametrize("form", ["json", "toml"])
def test_a_file_whose_only_section_is_misspelt_ends_the_start(clean_environment, form, name, key, meant):
    text = json.dumps({name: {key: True}}) if form == "json" else f"[{name}]\n{key} = true\n"
    (clean_environment / f"config.{form}").write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_settings({"claude": {"api_key": "x"}})
    assert caught.value.problems == (f"{name} (config.{form}) is no setting; did you mean {meant}?",)


@pytest.mark.parametrize(
    ("explicit", "environment", "file", "sentence"),
    [
        ({"server": {"port": 70000}}, {}, None, "server.port (--port): Input should be less than or equal to 65535."),
        (
            {},
            {"PORT": "many"},
            None,
            (
                "server.port (environment variable PORT): Input should be a valid integer, "
                "unable to parse string as an integer."
            ),
        ),
        ({}, {}, {"claude": {"timeout": -1}}, "claude.timeout (config.json): Input should be greater than 0."),
        (
            {},
            {},
            {"claude": {"timeuot": 1}},
            "claude.timeuot (config.json) is no setting; did you mean claude.timeout?",
        ),
        ({}, {}, {"claude": {}, "colour": "red"}, "colour (config.json) is no setting."),
        ({}, {}, {"claude": {}, "servr": {"port": 1}}, "servr (config.json) is no setting; did you mean server?"),
        ({"server": {"port": 1}}, {}, {"server": 5}, "server (config.json): it has to be a table of settings."),
        (
            {},
            {"ANTHROPIC_BASE_URL": "https://api.anthropic.com/v1/"},
            None,
            (
                "claude.base_url (environment variable ANTHROPIC_BASE_URL): leave out /v1 and what comes after it, "
                "which each call adds by itself."
            ),
        ),
        ({}, {}, {"server": {}, "config": "x"}, "config (config.json): a configuration file cannot name another one."),
        (
            {},
            {"CLAUDE_PROXY_ALIASES": "gpt-4o"},
            None,
            "claude.aliases (environment variable CLAUDE_PROXY_ALIASES): each alias has the form pattern=model.",
        ),
        (
            {},
            {"CLAUDE_PROXY_HOSTS": "https://api.openai.com"},
            None,
            (
                "interception.hosts (environment variable CLAUDE_PROXY_HOSTS): a host is a bare name such as "
                "api.openai.com or *.openai.azure.com, without scheme or port."
            ),
        ),
        ({}, {"CLAUDE_PROXY_CONFIG": "nowhere.json"}, None, "nowhere.json cannot be read: No such file or directory."),
        ({}, {"CLAUDE_PROXY_CONFIG": "x.yaml"}, None, "x.yaml: a configuration file ends in .json or .toml."),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_one_sentence_names_the_setting_and_its_source(
    clean_environment, monkeypatch, explicit, environment, file, sentence
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if file is not None:
        (clean_environment / "config.json").write_text(json.dumps(file))
    with pytest.raises(SettingsError) as caught:
        load_settings(explicit, describe=lambda setting: setting.names.flag)
    assert caught.value.problems == (sentence,)


def test_every_problem_is_reported_at_once(monkeypatch):
    monkeypatch.setenv("PORT", "-1")
    monkeypatch.setenv("LOG_LEVEL", "loud")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert len(caught.value.problems) == 2


def test_a_broken_key_is_refused_without_being_shown(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-made\nup")
    with pytest.raises(SettingsError, match="no HTTP header can carry") as caught:
        load_settings()
    assert "made" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


PORT = "the port of a Redis URL is a number from 1 to 65535"
DATABASE = "the path of a Redis URL is the number of a database, such as /0"
ADDRESS = "a Redis URL has the form redis://user:password@host:port/database, with options that redis-py knows"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://host", "a Redis URL starts with redis://, rediss:// or unix://"),
        ("redis://:secret@host:99999", PORT),
        ("redis://:secret@host:0/0", PORT),
        ("redis://:secret@host:abc/0", PORT),
        ("rediss://:secret@host:-1", PORT),
        ("redis://:secret@host:secret/word", PORT),
        ("redis://:secret@host/one", DATABASE),
        ("redis://:secret@[::1", ADDRESS),
        ("redis://:secret@host?secret=1", ADDRESS),
        ("redis://:secret@host?socket_timeout=secret", ADDRESS),
        ("redis://:secret@host?protocol=9", ADDRESS),
    ],
)
@pytest.mark.parametrize(
    ("name", "variable"),
    [("store", "CLAUDE_PROXY_REDIS_URL"), ("rate_limiting", "CLAUDE_PROXY_LIMITS_REDIS_URL")],
    ids=["store", "limits"],
)
def test_a_redis_url_that_leads_nowhere_is_refused_without_being_shown(monkeypatch, name, variable, url, problem):
    monkeypatch.setenv(variable, url)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert caught.value.problems == (f"{name}.redis_url (environment variable {variable}): {problem}.",)


@pytest.mark.parametrize(
    "url",
    [
        "redis://host",
        "redis://host:6379/",
        "redis://me:pass%40word@[::1]:6379/15",
        "rediss://host:6380?ssl_cert_reqs=none&db=2",
        "unix:///run/redis.sock?db=1",
    ],
)
def test_redis_urls_are_taken_as_redis_py_takes_them(monkeypatch, url):
    monkeypatch.setenv("CLAUDE_PROXY_REDIS_URL", url)
    assert load_settings().store.redis_url.get_secret_value() == url


def test_two_configuration_files_at_once_are_refused(clean_environment):
    (clean_environment / "config.json").write_text('{"server": {}}')
    (clean_environment / "config.toml").write_text("[server]\n")
    with pytest.raises(SettingsError, match="name one of them with --config"):
        load_settings()


def test_without_key_and_without_simulation_the_sentence_names_both_ways_out():
    with pytest.raises(MissingKeyError) as caught:
        load_settings().require_key()
    (sentence,) = caught.value.problems
    for way_out in ("ANTHROPIC_API_KEY", "--simulate", "CLAUDE_PROXY_SIMULATE=1", "--set claude_simulate=true"):
        assert way_out in sentence


def test_a_key_or_the_simulation_is_enough():
    load_settings({"claude": {"api_key": "sk-ant-made-up"}}).require_key()
    load_settings({"claude": {"simulate": True}}).require_key()


def test_names_are_unique_and_secrets_are_neither_flags_nor_options():
    for kind in ("env", "option", "flag"):
        names = [name for setting in ALL_SETTINGS if (name := getattr(setting.names, kind))]
        assert len(names) == len(set(names))
    (key,) = [setting for setting in ALL_SETTINGS if setting.dotted == "claude.api_key"]
    assert (key.names.option, key.names.flag) == (None, None)


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Settings().claude.timeout = 1


def test_nest_makes_the_form_of_the_file():
    assert nest({("config",): "x", ("claude", "timeout"): 5}) == {"config": "x", "claude": {"timeout": 5}}


def test_another_backends_key_may_be_in_the_environment_and_is_never_shown(clean_environment, monkeypatch):
    (clean_environment / "config.toml").write_text(
        '[other_backends."/v1/embeddings"]\nbase_url = "https://api.openai.com/v1/"\napi_key_env = "THEIR_KEY"\n'
    )
    monkeypatch.setenv("THEIR_KEY", "sk-made-up")
    settings = load_settings()
    backend = settings.other_backends["/v1/embeddings"]
    assert backend.base_url == "https://api.openai.com/v1"
    assert backend.api_key is not None
    assert backend.api_key.get_secret_value() == "sk-made-up"
    assert "made-up" not in repr(settings) + settings.model_dump_json()


def test_the_environment_names_other_backends_as_json(monkeypatch):
    monkeypatch.setenv("CLAUDE_PROXY_OTHER_BACKENDS", '{"/v1/audio/*": {"base_url": "http://127.0.0.1:1/v1"}}')
    assert load_settings().other_backends["/v1/audio/*"].base_url == "http://127.0.0.1:1/v1"


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (
            {"base_url": "http://a", "api_key_env": "NOT_THERE"},
            "other_backends./v1/x: api_key_env names NOT_THERE, which the environment does not have.",
        ),
        (
            {"base_url": "http://a", "api_key": "k", "forwards_client_key": True},
            "other_backends./v1/x: api_key and forwards_client_key are both set: one of them is enough.",
        ),
        (
            {"base_url": "http://a", "api_key": "k", "api_key_env": "PATH"},
            "other_backends./v1/x: api_key and api_key_env are both set: one of them is enough.",
        ),
        ({"base_url": "ftp://a"}, "other_backends./v1/x.base_url: URL scheme should be 'http' or 'https'."),
        ({"url": "http://a"}, "other_backends./v1/x.base_url: Field required."),
    ],
)
def test_what_is_wrong_with_another_backend_is_said(table, sentence):
    with pytest.raises(SettingsError) as refused:
        load_settings({"other_backends": {"/v1/x": table}})
    assert sentence in refused.value.problems
