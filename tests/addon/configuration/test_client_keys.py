"""Keys as they are kept: digests alone, in a file that is whole, private and changed by one at a time."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import ValidationError

from addon.configuration.client_keys import (
    ClientKey,
    KeyFileError,
    change_key_file,
    digest_of,
    new_key,
    read_key_file,
    require_unique,
)
from addon.observation.redaction import redact_text


def test_a_new_key_is_long_recognisable_and_kept_as_a_digest_alone():
    key, kept = new_key("ci")
    other, _ = new_key("ci")
    assert key.startswith("sk-claude-proxy-")
    assert len(key) > 50
    assert key != other
    assert kept.sha256 == digest_of(key)
    assert key.removeprefix("sk-claude-proxy-") not in kept.model_dump_json()


def test_the_log_masks_a_key():
    key, _ = new_key("ci")
    assert key not in redact_text(f"somebody wrote {key} somewhere")


def test_a_file_comes_back_as_it_was_written_and_is_the_owners_alone(tmp_path):
    path = tmp_path / "deeper" / "keys.json"
    _, one = new_key("one", models=["gpt-4o*"], requests_per_minute=5, dollars_per_day=1.5)
    change_key_file(path, lambda _: [one])
    assert read_key_file(path) == (one,)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_what_fails_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "keys.json"
    _, one = new_key("one")
    change_key_file(path, lambda _: [one])

    def fail(_keys):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        change_key_file(path, fail)
    change_key_file(path, lambda _: None)
    assert read_key_file(path) == (one,)
    assert {file.name for file in tmp_path.iterdir()} == {"keys.json", ".keys.json.lock"}


def test_many_at_once_lose_no_key(tmp_path):
    path = tmp_path / "keys.json"

    def add(number):
        _, kept = new_key(f"k{number}")
        change_key_file(path, lambda keys: [*keys, kept])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(24)))
    assert {key.name for key in read_key_file(path)} == {f"k{number}" for number in range(24)}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "Invalid JSON"),
        ("{", "Invalid JSON"),
        ("[]", "valid dictionary|object"),
        ("{}", "keys: Field required"),
        ('{"keys": [{"name": "a"}]}', r"keys.0.sha256: Field required"),
        (json.dumps({"keys": [{"name": "a", "sha256": "short"}]}), r"keys.0.sha256: String should match"),
        (json.dumps({"keys": [{"name": "a b", "sha256": "0" * 64}]}), r"keys.0.name: String should match"),
        (json.dumps({"keys": [{"name": "a", "sha256": "0" * 64, "limit": 3}]}), r"keys.0.limit: Extra inputs"),
    ],
)
def test_a_broken_file_is_refused_with_the_place_and_without_its_content(tmp_path, text, says):
    path = tmp_path / "keys.json"
    path.write_text(text)
    with pytest.raises(KeyFileError, match=says) as refused:
        read_key_file(path)
    assert "short" not in str(refused.value)


def test_no_file_means_no_keys(tmp_path):
    assert read_key_file(tmp_path / "keys.json") == ()


def test_names_are_unique_among_the_keys_in_use():
    _, one = new_key("a")
    _, two = new_key("a")
    with pytest.raises(KeyFileError, match="two keys are named 'a'"):
        require_unique([one, two])
    require_unique([one.model_copy(update={"revoked": one.created}), two])


def test_a_claude_key_comes_from_a_variable_or_a_file(tmp_path, monkeypatch):
    monkeypatch.setenv("TEAM_KEY", " sk-ant-of-the-team\n")
    (tmp_path / "key").write_text("sk-ant-of-the-file\n")
    assert new_key("a", claude_key_variable="TEAM_KEY")[1].read_claude_key() == "sk-ant-of-the-team"
    assert new_key("a", claude_key_file=tmp_path / "key")[1].read_claude_key() == "sk-ant-of-the-file"
    assert new_key("a")[1].read_claude_key() is None


@pytest.mark.parametrize("source", [{"claude_key_variable": "NOT_SET"}, {"claude_key_file": "/nowhere/key"}])
def test_a_claude_key_that_is_not_there_is_an_error_that_says_where(source):
    with pytest.raises(KeyFileError, match=r"'a'.*(NOT_SET|/nowhere/key)"):
        new_key("a", **source)[1].read_claude_key()


def test_a_claude_key_has_one_source():
    with pytest.raises(ValidationError, match="exclude each other"):
        ClientKey(name="a", sha256="0" * 64, claude_key_variable="A", claude_key_file="b")
