"""The chart, installed and upgraded by Helm's own engine: who may ask the pods."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode

import pytest

from addon.configuration.settings import load_settings
from tests.deploy.cluster import DEPLOY
from tests.deploy.kubernetes_api import kubernetes_api

CHART = DEPLOY / "helm/claude-proxy"
SECRETS = "/api/v1/namespaces/default/secrets"
DEPLOYMENT = "/apis/apps/v1/namespaces/default/deployments/demo"
DIGEST = hashlib.sha256(b"sk-ci").hexdigest()


@pytest.fixture
def api():
    with kubernetes_api() as running:
        yield running


@pytest.fixture
def installing(helm, api):
    """Helm's engine, connected to the API. What it knows of releases it keeps in memory."""
    with helm.Config(kube_apiserver=api[0], namespace="default", storage_driver="memory") as installing:
        yield installing


def client_keys(objects, monkeypatch):
    """What the proxy in a pod makes of the Secret that its variable comes from."""
    [proxy, _] = objects[DEPLOYMENT]["spec"]["template"]["spec"]["containers"]
    [source] = [each["valueFrom"] for each in proxy["env"] if each["name"] == "CLAUDE_PROXY_CLIENT_KEYS"]
    secret = objects[f"{SECRETS}/{source['secretKeyRef']['name']}"]
    monkeypatch.setenv("CLAUDE_PROXY_CLIENT_KEYS", b64decode(secret["data"][source["secretKeyRef"]["key"]]).decode())
    return {key.name: key.sha256 for key in load_settings({"claude": {"simulate": True}}).access.keys}


def test_all_pods_share_one_key_that_is_made_once_and_kept_by_upgrades(api, installing, monkeypatch):
    _, objects = api
    installing.install(CHART, "demo", {"anthropicApiKey": "sk-ant-one"})
    made = b64decode(objects[f"{SECRETS}/demo-client-keys"]["data"]["client-key"])
    assert len(made) == len("sk-claude-proxy-") + 43
    assert client_keys(objects, monkeypatch) == {"first": hashlib.sha256(made).hexdigest()}
    kept = json.dumps(objects[f"{SECRETS}/demo-client-keys"])
    installing.upgrade(CHART, "demo", {"anthropicApiKey": "sk-ant-two", "replicas": 5})
    assert objects[DEPLOYMENT]["spec"]["replicas"] == 5
    assert json.dumps(objects[f"{SECRETS}/demo-client-keys"]) == kept


def test_keys_of_the_values_take_its_place_and_start_the_pods_anew(api, installing, monkeypatch):
    _, objects = api
    installing.install(CHART, "demo", {"anthropicApiKey": "sk-ant-one"})
    before = objects[DEPLOYMENT]["spec"]["template"]["metadata"]["annotations"]
    keys = {"clientKeys": {"keys": [{"name": "ci", "sha256": DIGEST}]}}
    installing.upgrade(CHART, "demo", {"anthropicApiKey": "sk-ant-one", **keys})
    assert client_keys(objects, monkeypatch) == {"ci": DIGEST}
    assert "client-key" not in objects[f"{SECRETS}/demo-client-keys"]["data"]
    assert objects[DEPLOYMENT]["spec"]["template"]["metadata"]["annotations"] != before


def test_a_secret_of_yours_is_used_as_it_is(api, installing):
    _, objects = api
    installing.install(CHART, "demo", {"anthropicApiKey": "sk-ant-one", "clientKeys": {"existingSecret": "mine"}})
    assert f"{SECRETS}/demo-client-keys" not in objects
    [proxy, _] = objects[DEPLOYMENT]["spec"]["template"]["spec"]["containers"]
    assert {"secretKeyRef": {"name": "mine", "key": "client-keys"}} in [each.get("valueFrom") for each in proxy["env"]]
