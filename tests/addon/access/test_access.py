"""Whose request it is: by the key that it presents, however it presents it."""

import base64
import json
from datetime import UTC, datetime
from hmac import compare_digest

import pytest
from mitmproxy.http import Headers
from structlog.testing import capture_logs

from addon.access.access import Access, key_file_of
from addon.configuration.client_keys import KeyFileError, change_key_file, new_key
from addon.configuration.client_settings import AccessSettings
from addon.configuration.operation_settings import StoreSettings
from translators.errors import OpenAIError

KEY, KEPT = new_key("ci", models=["gpt-4o*", "claude-haiku-*"])


class Clock:
    now = 0.0

    def __call__(self):
        self.now += 10  # later than the last look at the file, each time
        return self.now


def access_of(tmp_path, **settings):
    return Access(AccessSettings(**settings), tmp_path / "keys.json", clock=Clock())


def client_of(access, *, standalone=True, **headers):
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return access.client_of(Headers(**fields) if fields else Headers(), "192.0.2.7", standalone=standalone)


def refused(access, **headers):
    with pytest.raises(OpenAIError) as error:
        client_of(access, **headers)
    return error.value


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer  {KEY}"},
        {"api_key": KEY},
        {"x_api_key": KEY},
        {"authorization": "Bearer sk-another", "api_key": KEY},
    ],
)
def test_a_key_is_known_however_it_comes(tmp_path, headers):
    client = client_of(access_of(tmp_path, keys=[KEPT]), **headers)
    assert (client.id, client.name) == ("key:ci", "ci")


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({}, "You didn't provide an API key"),
        ({"authorization": "Basic abc"}, "You didn't provide an API key"),
        ({"authorization": "Bearer "}, "You didn't provide an API key"),
        ({"authorization": "Bearer sk-wrong"}, "Incorrect API key"),
        ({"authorization": f"Bearer {KEY}x"}, "Incorrect API key"),
        ({"authorization": f"Bearer {KEPT.sha256}"}, "Incorrect API key"),
        ({"x_api_key": "sk-ant-of-a-client"}, "Incorrect API key"),
    ],
)
def test_without_a_key_or_with_a_wrong_one_nobody_gets_in(tmp_path, headers, says):
    error = refused(access_of(tmp_path, keys=[KEPT]), **headers)
    assert (error.status, error.code, error.type) == (401, "invalid_api_key", "invalid_request_error")
    assert says in error.message
    assert all(value.split(" ")[-1] not in error.message for value in headers.values() if "sk-" in value)


def test_E14_every_kept_key_is_compared_in_constant_time_whichever_is_presented(tmp_path, monkeypatch):
    others = [new_key(name)[1] for name in ("one", "two")]
    access = access_of(tmp_path, keys=(others[0], KEPT, others[1]))
    compared = []

    def compare(kept, presented):
        compared.append(kept)
        return compare_digest(kept, presented)

    monkeypatch.setattr("hmac.compare_digest", compare)
    assert access.client_of(Headers(authorization=f"Bearer {KEY}"), "192.0.2.1", standalone=True).name == "ci"
    assert compared == [key.sha256 for key in (others[0], KEPT, others[1])]


def test_a_revoked_key_is_a_wrong_one_and_does_not_open_the_proxy(tmp_path):
    access = access_of(tmp_path, keys=[KEPT.model_copy(update={"revoked": datetime.now(UTC)})])
    assert refused(access, authorization=f"Bearer {KEY}").status == 401
    assert refused(access).status == 401


def test_where_there_is_no_key_clients_are_told_apart_by_what_they_present(tmp_path):
    access = access_of(tmp_path)
    one = client_of(access, authorization="Bearer sk-one")
    assert one == client_of(access, authorization="Bearer sk-one")
    assert one.id != client_of(access, authorization="Bearer sk-two").id
    assert "sk-one" not in one.id
    assert client_of(access).id == "address:192.0.2.7"


def test_anonymous_clients_get_in_where_that_is_wanted_and_a_key_still_counts(tmp_path):
    access = access_of(tmp_path, keys=[KEPT], allow_anonymous=True)
    assert client_of(access, authorization="Bearer sk-any").key is None
    assert client_of(access, authorization=f"Bearer {KEY}").name == "ci"


def test_behind_a_proxy_the_apps_key_is_nobodys_business(tmp_path):
    client = client_of(access_of(tmp_path, keys=[KEPT]), standalone=False, authorization="Bearer sk-of-the-app")
    assert client.key is None


def test_a_client_may_bring_its_own_key_where_that_is_wanted(tmp_path):
    own = {"authorization": "Bearer sk-ant-of-a-client"}
    client = client_of(access_of(tmp_path, keys=[KEPT], bring_your_own_key=True), **own)
    assert client.claude_key == "sk-ant-of-a-client"
    assert "sk-ant" not in client.id
    assert "sk-ant" not in repr(client)
    assert client_of(access_of(tmp_path), **own).claude_key is None


def test_a_proxy_without_a_key_for_claude_asks_each_client_for_one(tmp_path):
    access = Access(AccessSettings(bring_your_own_key=True), tmp_path / "keys.json", has_own_key=False)
    assert "your own key" in refused(access, authorization="Bearer sk-other").message
    assert client_of(access, x_api_key="sk-ant-a").claude_key == "sk-ant-a"


@pytest.mark.parametrize(("model", "allowed"), [("gpt-4o-mini", True), ("claude-opus-5", False), (None, False)])
def test_a_key_may_be_held_to_models(tmp_path, model, allowed):
    client = client_of(access_of(tmp_path, keys=[KEPT]), authorization=f"Bearer {KEY}")
    if allowed:
        client.require_model(model)
        return
    with pytest.raises(OpenAIError, match="does not have access to model") as error:
        client.require_model(model)
    assert (error.value.status, error.value.code) == (403, "model_not_found")


def test_the_key_file_is_read_again_when_it_changes_and_a_broken_one_keeps_the_old_keys(tmp_path):
    path = tmp_path / "keys.json"
    access = access_of(tmp_path)
    assert client_of(access).key is None
    change_key_file(path, lambda _: [KEPT])
    assert refused(access).status == 401
    path.write_text("{ broken")
    with capture_logs() as logs:
        for _ in range(3):
            assert client_of(access, authorization=f"Bearer {KEY}").name == "ci"
    assert [line["event"] for line in logs] == ["keys_not_read"]
    assert "cannot be understood" in logs[0]["detail"]
    path.unlink()
    assert client_of(access, authorization=f"Bearer {KEY}").name == "ci"
    change_key_file(path, lambda _: [KEPT.model_copy(update={"name": "renamed"})])
    assert client_of(access, authorization=f"Bearer {KEY}").name == "renamed"


def test_other_keys_can_be_put_in_force_and_wrong_ones_are_not(tmp_path):
    access = access_of(tmp_path)
    access.apply(AccessSettings(keys=[KEPT]))
    assert refused(access).status == 401
    _, twin = new_key("ci")
    change_key_file(tmp_path / "keys.json", lambda _: [twin])
    with capture_logs() as logs:
        access.apply(AccessSettings(keys=[KEPT], allow_anonymous=True))
    assert "two keys are named 'ci'" in logs[0]["detail"]
    assert refused(access).status == 401


def test_a_broken_key_file_at_the_start_opens_nothing(tmp_path):
    (tmp_path / "keys.json").write_text("{ broken")
    with pytest.raises(KeyFileError, match="cannot be understood"):
        access_of(tmp_path)


def test_the_first_key_is_made_once_and_kept(tmp_path):
    access, other = access_of(tmp_path), access_of(tmp_path)
    key = access.make_first_key()
    assert client_of(access, authorization=f"Bearer {key}").name == "first"
    assert other.make_first_key() is None, "another process had made one"
    assert client_of(other, authorization=f"Bearer {key}").name == "first"
    assert access_of(tmp_path).make_first_key() is None
    assert key not in (tmp_path / "keys.json").read_text()


def test_a_first_key_that_cannot_be_kept_holds_for_the_process(tmp_path):
    (tmp_path / "file").write_text("")
    access = Access(AccessSettings(), tmp_path / "file" / "keys.json")
    with capture_logs() as logs:
        key = access.make_first_key()
    assert [line["event"] for line in logs] == ["key_not_kept"]
    assert client_of(access, authorization=f"Bearer {key}").name == "first"
    assert refused(access).status == 401


@pytest.mark.parametrize(
    ("value", "known"),
    [
        ("Basic " + base64.b64encode(f"anybody:{KEY}".encode()).decode(), True),
        (f"Bearer {KEY}", True),
        ("Basic " + base64.b64encode(b"anybody:wrong").decode(), False),
        ("Basic !!!", False),
        ("Basic " + base64.b64encode(b"\xff\xfe").decode(), False),
        ("Basic é", False),
        ("", False),
    ],
    ids=["basic", "bearer", "wrong", "no-base64", "no-text", "no-ascii", "nothing"],
)
def test_a_key_is_the_password_of_the_proxy(tmp_path, value, known):
    client = access_of(tmp_path, keys=[KEPT]).proxy_client_of(Headers(proxy_authorization=value))
    assert (client is not None) == known


@pytest.mark.parametrize(
    ("store", "folder"),
    [
        ({"path": "/srv/state/store.sqlite3"}, "/srv/state"),
        ({"path": ":memory:"}, "/x/claude-proxy"),
        ({}, "/x/claude-proxy"),
    ],
)
def test_the_key_file_is_beside_the_store(monkeypatch, store, folder):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_STATE_HOME", "/x")
    assert str(key_file_of(AccessSettings(), StoreSettings(**store))) == f"{folder}/keys.json"
    assert str(key_file_of(AccessSettings(key_file="/k.json"), StoreSettings(**store))) == "/k.json"


def test_keys_may_come_as_json_from_the_environment():
    given = json.dumps([{"name": "ci", "sha256": KEPT.sha256}])
    assert AccessSettings(keys=given).keys[0].name == "ci"
