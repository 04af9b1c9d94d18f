"""Compose files, and by documentation only: what kubectl prints and states of Terraform. No secret of theirs is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_deploygate.discovery import ansible, compose, kubernetes, terraform, writer
from pytest_deploygate.discovery.found import Found
from pytest_deploygate.inventory.loader import load
from pytest_deploygate.model import CannotTell

_DIGEST = "sha256:" + "0a" * 32
_COMPOSE = f"""\
name: shop
services:
  web:
    image: registry.example.com/web@{_DIGEST}
    ports: ["127.0.0.1:8080:80"]
    environment: {{API_TOKEN: canary-of-the-compose-file}}
    healthcheck: {{test: [CMD, curl, -f, "http://localhost/healthz"]}}
  worker:
    image: registry.example.com/worker:1.4
    container_name: the-worker
    healthcheck: {{test: "CMD-SHELL curl -f http://localhost:9000/ || exit 1"}}
  db:
    image: postgres:15
    ports: [{{target: 5432, published: "5433"}}]
  odd:
    container_name: ${{NAME}}
"""


def _loads(found: Found, folder: Path) -> Any:
    """The written inventory must be one, with every place of `discovered` in it."""
    (folder / "x.yml").write_text(writer.text("x", found, "w"))
    return load(str(folder / "x.yml"), folder, []).inventory


def _entries(found: Found) -> dict[str, Any]:
    return {fact.name: fact.value for fact in found.facts}


def test_services_of_compose(tmp_path: Path) -> None:
    file = tmp_path / "compose.yml"
    file.write_text(_COMPOSE)
    found = compose.look(file)
    assert _entries(found) == {
        "stack.components[web]": {
            "name": "web",
            "hosts": ["here"],
            "container": "shop-web-1",
            "image": _DIGEST,
            "health": {"url": "http://127.0.0.1:8080/healthz"},
        },
        "stack.components[worker]": {"name": "worker", "hosts": ["here"], "container": "the-worker"},
        "stack.components[db]": {"name": "db", "hosts": ["here"], "container": "shop-db-1"},
    }
    assert [str(wanted) for wanted in found.wanted] == [
        "database: the service db is a PostgreSQL: --dsn postgresql://USER@localhost:5433/NAME"
    ]
    assert any("odd has a name with ${…}" in remark for remark in found.remarks)
    assert any("worker has its image by a tag" in remark for remark in found.remarks)
    assert "canary" not in repr(found)
    assert len(_loads(found, tmp_path).stack.components) == 3


@pytest.mark.parametrize("text", ["", "services:\n", "a: b\n", "- x\n", "{{{", "services: [a]\n"])
def test_what_is_no_compose_file_cannot_be_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "compose.yml"
    file.write_text(text)
    with pytest.raises(CannotTell, match=r"compose\.yml"):
        compose.look(file)


def _item(kind: str, name: str, namespace: str = "shop", **spec: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def _template(*images: str) -> dict[str, Any]:
    env = [{"name": "TOKEN", "value": "canary-of-the-cluster"}]
    return {
        "spec": {
            "containers": [{"name": f"c{n}", "image": image, "env": env} for n, image in enumerate(images)]
        }
    }


def test_workloads_as_kubectl_prints_them(tmp_path: Path) -> None:
    items = [
        _item("Deployment", "web", template=_template(f"web@{_DIGEST}")),
        _item("StatefulSet", "queue", "default", template=_template("queue:3", "sidecar:1")),
        _item("DaemonSet", "proxy", "kube-system", template=_template("proxy:1")),
        _item("Ingress", "front", tls=[{"hosts": ["shop.example.com", "*.example.com"]}]),
        _item("CronJob", "dump", schedule="0 3 * * *"),
    ]
    file = tmp_path / "cluster.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    found = kubernetes.look(file)
    assert _entries(found) == {
        "stack.components[shop/web]": {
            "name": "shop/web",
            "workload": "deployment/web",
            "namespace": "shop",
            "image": _DIGEST,
        },
        "stack.components[queue]": {"name": "queue", "workload": "statefulset/queue"},
        "endpoints[shop.example.com]": {"name": "shop.example.com", "host": "shop.example.com"},
    }
    assert [wanted.place for wanted in found.wanted] == ["database.backups"]
    assert "canary" not in repr(found)
    assert _loads(found, tmp_path).endpoints[0].host == "shop.example.com"


_PRIMARY = {
    "identifier": "shop", "engine": "postgres", "address": "shop.rds.example.com", "port": 5433, "db_name": "shop",
    "username": "master", "password": "canary-of-the-state", "backup_retention_period": 0,
}  # fmt: skip
_REPLICA = {
    "identifier": "shop-2",
    "engine": "postgres",
    "address": "shop-2.rds.example.com",
    "port": 5432,
    "replicate_source_db": "shop",
}
_RULE = {"protocol": "tcp", "from_port": 443, "to_port": 443, "cidr_blocks": ["0.0.0.0/0"]}
_RESOURCES = [
    ("aws_db_instance", "main", _PRIMARY),
    ("aws_db_instance", "second", _REPLICA),
    ("aws_route53_record", "app", {"fqdn": "app.example.com", "type": "A"}),
    ("aws_security_group", "web", {"ingress": [_RULE]}),
]


def _shown() -> dict[str, Any]:
    resources = [{"type": k, "address": f"{k}.{n}", "mode": "managed", "values": v} for k, n, v in _RESOURCES]
    module = {"resources": resources[:1], "child_modules": [{"resources": resources[1:]}]}
    return {"format_version": "1.0", "values": {"root_module": module}}


def _state() -> dict[str, Any]:
    resources = [
        {"mode": "managed", "type": k, "name": n, "instances": [{"attributes": v}]} for k, n, v in _RESOURCES
    ]
    return {"version": 4, "resources": resources}


@pytest.mark.parametrize("document", [_shown(), _state()], ids=["show", "state"])
def test_databases_of_a_terraform_state(tmp_path: Path, document: dict[str, Any]) -> None:
    file = tmp_path / "state.json"
    file.write_text(json.dumps(document))
    found = terraform.look(file)
    assert _entries(found) == {
        "database.name": "shop",
        "database.user": "master",
        "database.primary": {"host": "shop.rds.example.com", "port": 5433},
        "database.replicas[shop-2.rds.example.com]": {"host": "shop-2.rds.example.com"},
    }
    hints = [str(wanted) for wanted in found.wanted]
    assert "dns.names: Route 53 has app.example.com: --domain app.example.com looks at it" in hints
    assert "firewall.rules: aws_security_group.web lets tcp/443 in from 0.0.0.0/0" in hints
    assert found.remarks == (
        "state.json: aws_db_instance.main keeps no automatic backups (backup_retention_period is 0)",
    )
    assert "canary" not in repr(found)
    assert _loads(found, tmp_path).database.primary.port == 5433


@pytest.mark.parametrize("source", [kubernetes, terraform])
@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "{", '{"kind": "List", "items": []}', '{"values": 3}', "null"]
)
def test_what_is_no_such_document_cannot_be_told(tmp_path: Path, source: Any, text: str) -> None:
    file = tmp_path / "odd.json"
    file.write_text(text)
    with pytest.raises(CannotTell, match=r"odd\.json"):
        source.look(file)


def test_an_ansible_inventory_is_named_and_its_groups_are_counted(tmp_path: Path) -> None:
    """Ansible's programs take half a second to start."""
    file = tmp_path / "hosts.ini"
    file.write_text("[web]\nweb1\nweb2\n[database]\ndb1 ansible_password=canary-of-ansible\n")
    found = ansible.look([(file, "hosts.ini")])
    assert _entries(found) == {
        "hosts.ansible.inventory": ["hosts.ini"],
        "hosts.expected": {"all": 3, "database": 1, "web": 2},
    }
    assert "canary" not in repr(found)
    assert _loads(found, tmp_path).hosts.expected["web"] == 2
    (tmp_path / "broken.yml").write_text("all: [")
    with pytest.raises(CannotTell, match="broken"):
        ansible.look([(tmp_path / "broken.yml", "broken.yml")])
