"""ConfigMaps through the real kubectl, from a server with the documented API: what is found, and what is no pass."""

from __future__ import annotations

import base64
import json
import re
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from no_secrets import forget

from pytest_deploygate.checks.secrets import judge, probe
from pytest_deploygate.checks.secrets.section import Kubernetes, Secrets
from pytest_deploygate.model import Judgement, Verdict
from pytest_deploygate.redaction import Secret

VALUE = "k8s-Secret+of/tests-01"
_RESOURCE = {
    "name": "configmaps",
    "singularName": "configmap",
    "namespaced": True,
    "kind": "ConfigMap",
    "verbs": ["get", "list"],
}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Serve these ConfigMaps; `status` other than 200 is a refusal."""
    if shutil.which("kubectl") is None:
        pytest.skip("there is no kubectl here")
    has: dict[str, Any] = {"items": [], "status": 200, "asked": []}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            status, body = 200, {}
            if path == "/api":
                body = {"kind": "APIVersions", "versions": ["v1"]}
            elif path == "/apis":
                body = {"kind": "APIGroupList", "apiVersion": "v1", "groups": []}
            elif path == "/api/v1":
                body = {"kind": "APIResourceList", "groupVersion": "v1", "resources": [_RESOURCE]}
            else:
                has["asked"].append(path)
                status = has["status"]
                namespace = re.fullmatch(r"/api/v1/namespaces/(.*)/configmaps", path)
                for item in has["items"] if namespace else []:
                    item["metadata"]["namespace"] = namespace[1]
                body = (
                    {"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {}, "items": has["items"]}
                    if status == 200
                    else {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden",
                          "message": "configmaps is forbidden: User gate cannot list", "code": status}
                )  # fmt: skip
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "tests",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "tests", "context": {"cluster": "c", "user": "u"}}],
    }
    (tmp_path / "config").write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    forget()
    Secret(VALUE, "env:DB_PASSWORD")
    yield has
    server.shutdown()
    server.server_close()
    forget()


def config_map(name: str, **parts: dict[str, str]) -> dict[str, Any]:
    """Return a ConfigMap of the namespace `platform`."""
    return {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "platform"},
        **parts,
    }


def judged(**keys: object) -> Judgement:
    """Look into the ConfigMaps and judge them."""
    section = Secrets()
    return judge.judge_config_maps(probe.config_maps(Kubernetes.model_validate(keys), section), section)


def test_config_maps_without_a_secret_pass(cluster):
    cluster["items"] = [config_map("app", data={"workers": "4"})]
    result = judged()
    assert result.verdict is Verdict.PASS, result.reason
    assert result.reason == "no secret stands in 1 ConfigMaps"


@pytest.mark.parametrize(
    "parts",
    [
        {"data": {"app.conf": f"workers = 4\npassword = {VALUE}\n"}},
        {"binaryData": {"app.conf": base64.b64encode(f"\x00\n{VALUE}".encode()).decode()}},
    ],
)
def test_a_secret_in_a_config_map_fails(cluster, parts):
    cluster["items"] = [config_map("ok", data={"a": "b"}), config_map("app", **parts)]
    result = judged(context="tests")
    assert result.verdict is Verdict.FAIL
    assert (
        "the secret env:DB_PASSWORD stands in the ConfigMap platform/app key app.conf: move it to a Secret"
        in result.reason
    )


def test_namespaces_are_asked_for_one_by_one(cluster):
    cluster["items"] = [config_map("app", data={"workers": "4"})]
    assert judged(namespaces=["one", "two"]).verdict is Verdict.PASS
    assert [path for path in cluster["asked"] if path != "/version"] == [
        f"/api/v1/namespaces/{name}/configmaps" for name in ("one", "two")
    ]


@pytest.mark.parametrize(
    ("status", "keys", "said"),
    [
        (403, {}, "configmaps is forbidden"),
        (200, {"context": "other"}, "kubectl ended with 1"),
        (200, {}, "there are no ConfigMaps"),
    ],
)
def test_what_could_not_be_read_is_no_pass(cluster, status, keys, said):
    cluster["status"] = status
    result = judged(**keys)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert said in result.reason


def test_without_kubectl(cluster, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert "kubectl is not installed on this machine" in judged().reason
