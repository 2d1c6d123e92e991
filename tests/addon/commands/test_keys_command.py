"""`claude-proxy keys`, as it is typed."""

import json

import pytest

from addon.commands.cli import main
from addon.configuration.client_keys import digest_of, read_key_file

pytestmark = pytest.mark.usefixtures("clean_environment")


@pytest.fixture
def key_file(monkeypatch, tmp_path):
    path = tmp_path / "keys.json"
    monkeypatch.setenv("CLAUDE_PROXY_KEY_FILE", str(path))
    return path


def test_a_key_is_printed_alone_and_its_limits_are_kept(key_file, capsys):
    flags = ["--models", "gpt-4o*, gpt-5", "--requests-per-minute", "5", "--dollars-per-day", "2.5"]
    assert main(["keys", "add", "ci", *flags]) == 0
    printed = capsys.readouterr()
    (kept,) = read_key_file(key_file)
    assert kept.sha256 == digest_of(printed.out.strip())
    assert (kept.name, kept.models, kept.requests_per_minute, kept.dollars_per_day) == (
        "ci",
        ("gpt-4o*", "gpt-5"),
        5,
        2.5,
    )
    assert printed.out.strip() not in printed.err


@pytest.mark.parametrize(
    ("flags", "kept", "listed"),
    [(["--cache"], True, "cache=true"), (["--no-cache"], False, "cache=false"), ([], None, None)],
    ids=["on", "off", "as_all"],
)
def test_a_key_may_have_its_answers_given_again_or_not(key_file, capsys, flags, kept, listed):
    assert main(["keys", "add", "ci", *flags]) == 0
    assert [key.cache for key in read_key_file(key_file)] == [kept]
    capsys.readouterr()
    assert main(["keys", "list"]) == 0
    facts = capsys.readouterr().out.split()
    assert [fact for fact in facts if fact.startswith("cache=")] == ([listed] if listed else [])


def test_a_list_of_no_keys_says_so(key_file, capsys):
    assert main(["keys", "list"]) == 0
    printed = capsys.readouterr()
    assert (printed.out, str(key_file) in printed.err) == ("", True)


def test_the_list_names_keys_and_shows_none(key_file, capsys):
    main(["keys", "add", "one", "--models", "a,b"])
    main(["keys", "add", "two"])
    main(["keys", "revoke", "two"])
    made = capsys.readouterr().out.split()
    assert main(["keys", "list"]) == 0
    listed = capsys.readouterr().out
    assert listed.startswith("one\tin use\t")
    assert "two\trevoked " in listed
    assert "models=a,b" in listed
    assert not any(key in listed or digest_of(key) in listed for key in made)


def test_a_name_can_be_used_again_once_its_key_is_revoked(key_file, capsys):
    assert main(["keys", "add", "ci"]) == 0
    assert main(["keys", "add", "ci"]) == 1
    assert "'ci' has a key already: revoke it first, or choose another name." in capsys.readouterr().err
    assert main(["keys", "revoke", "ci"]) == 0
    assert main(["keys", "add", "ci"]) == 0
    assert [key.revoked is None for key in read_key_file(key_file)] == [False, True]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["add", "a b"], "A key's name is a letter or a digit, then letters, digits"),
        (["add", "a", "--requests-per-minute", "many"], "requests_per_minute: Input should be a valid integer"),
        (["add", "a", "--dollars-per-day", "-1"], "dollars_per_day: Input should be greater than or equal to 0"),
        (["revoke", "nobody"], "has no key in use named 'nobody'"),
    ],
)
def test_a_mistake_is_one_sentence_and_changes_nothing(key_file, capsys, arguments, says):
    assert main(["keys", *arguments]) == 1
    assert says in capsys.readouterr().err
    assert read_key_file(key_file) == ()


def test_a_key_of_the_configuration_is_listed_and_revoked_there(key_file, capsys, tmp_path):
    (tmp_path / "proxy.json").write_text(json.dumps({"access": {"keys": [{"name": "ops", "sha256": "0" * 64}]}}))
    config = ["--config", str(tmp_path / "proxy.json")]
    assert main(["keys", "list", *config]) == 0
    assert capsys.readouterr().out.startswith("ops\tin use\tconfiguration")
    assert main(["keys", "revoke", "ops", *config]) == 1
    assert "is in the configuration" in capsys.readouterr().err
