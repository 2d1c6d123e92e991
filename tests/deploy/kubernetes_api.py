"""As much of Kubernetes' API as Helm's engine needs to install a chart: it keeps objects, and runs nothing."""

from __future__ import annotations

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = {
    "v1": {"secrets": "Secret", "services": "Service"},
    "apps/v1": {"deployments": "Deployment"},
    "networking.k8s.io/v1": {"networkpolicies": "NetworkPolicy"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
}
type Objects = dict[str, dict[str, Any]]


def root_of(version: str) -> str:
    return "api/v1" if version == "v1" else f"apis/{version}"


def discovered(path: str) -> dict[str, Any] | None:
    """Find what the API says of itself, at a path that is about no object."""
    groups = [version.partition("/")[::2] for version in KINDS if version != "v1"]
    said = {
        "version": {"major": "1", "minor": "34", "gitVersion": "v1.34.0"},
        "api": {"kind": "APIVersions", "versions": ["v1"]},
        "apis": {
            "kind": "APIGroupList",
            "groups": [
                {"name": group, "versions": [{"groupVersion": f"{group}/{version}", "version": version}]}
                for group, version in groups
            ],
        },
        "openapi/v3": {
            "paths": {root_of(version): {"serverRelativeURL": f"/openapi/v3/{root_of(version)}"} for version in KINDS}
        },
    }
    for version, kinds in KINDS.items():
        said[root_of(version)] = {
            "kind": "APIResourceList",
            "groupVersion": version,
            "resources": [
                {"name": name, "kind": kind, "namespaced": True, "verbs": ["get", "patch"]}
                for name, kind in kinds.items()
            ],
        }
        said[f"openapi/v3/{root_of(version)}"] = openapi(version)
    return said.get(path.strip("/"))


def openapi(version: str) -> dict[str, Any]:
    """Say that objects are validated here, so that Helm's engine asks for no schemas."""
    group, _, number = version.rpartition("/")
    paths = {
        f"/{name}/{{name}}": {
            "patch": {
                "parameters": [{"name": "fieldValidation", "in": "query"}],
                "x-kubernetes-group-version-kind": {"group": group, "version": number, "kind": kind},
                "responses": {},
            }
        }
        for name, kind in KINDS[version].items()
    }
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.34.0"}, "paths": paths}


@contextlib.contextmanager
def kubernetes_api() -> Iterator[tuple[str, Objects]]:
    """Run one on loopback. Gives its URL and what it keeps, by path."""
    objects: Objects = {}

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            self.answer(discovered(path) or objects.get(path))

        def do_PATCH(self) -> None:
            """Apply an object, which Helm's engine does to make one too."""
            path = self.path.partition("?")[0]
            length = int(self.headers["content-length"])
            objects[path] = yaml.safe_load(self.rfile.read(length))
            self.answer(objects[path])

        def answer(self, found: dict[str, Any] | None) -> None:
            missing = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
            encoded = json.dumps(found or missing).encode()
            self.send_response(200 if found else 404)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

        def log_message(self, *said: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", objects
        server.shutdown()
