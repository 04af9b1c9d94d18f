"""Workloads and hosts of a cluster, from what `kubectl get … -o json` printed. By the documentation of Kubernetes' API only.

    kubectl get deployments,statefulsets,daemonsets,cronjobs,ingresses,services -A -o json > cluster.json

The file is read instead of the cluster, so that nobody hands a kubeconfig to this command.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_deploygate.discovery import documents
from pytest_deploygate.discovery.found import Fact, Found, Wanted
from pytest_deploygate.model import CannotTell

_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")
#: Namespaces of the cluster itself.
_SYSTEM = ("kube-system", "kube-public", "kube-node-lease")


def look(path: Path) -> Found:
    """Return workloads as components, and hosts of ingresses as endpoints. Raises CannotTell."""
    document = documents.json(path)
    items = list(documents.entries(document, "items"))
    if documents.mapping(document).get("kind") not in ("List", *_WORKLOADS) or not (
        items or "spec" in document
    ):
        raise CannotTell(f"{path} is no list of `kubectl get … -o json`, or an empty one")
    found = [_of(item, path.name) for item in items or [document]]
    return Found(
        tuple(fact for facts, _ in found for fact in facts),
        wanted=tuple(wanted for _, several in found for wanted in several),
    )


def _of(item: Mapping[str, Any], file: str) -> tuple[list[Fact], list[Wanted]]:
    kind, meta = str(item.get("kind")), documents.mapping(item, "metadata")
    name, namespace = str(meta.get("name", "")), str(meta.get("namespace", "default"))
    seen = f"{file}: {kind} {namespace}/{name}"
    if namespace in _SYSTEM or not name:
        return [], []
    if kind in _WORKLOADS:
        return (
            [Fact(("stack", "components"), _component(item, kind, name, namespace), seen, entry=True)],
            [],
        )
    if kind == "Ingress":
        return [Fact(("endpoints",), {"name": h, "host": h}, seen, entry=True) for h in _hosts(item)], []
    if kind == "CronJob":
        schedule = documents.mapping(item, "spec").get("schedule")
        return (
            [],
            [Wanted("database.backups", f"the CronJob {namespace}/{name} ({schedule}), if it takes backups")],
        )
    if kind == "Service" and documents.mapping(item, "spec").get("type") == "LoadBalancer":
        return [], [Wanted("load_balancer", f"the service {namespace}/{name} is a load balancer")]
    return [], []


def _component(item: Mapping[str, Any], kind: str, name: str, namespace: str) -> dict[str, Any]:
    """Return a component; with its image only where one container names it by digest."""
    label = name if namespace == "default" else f"{namespace}/{name}"
    entry: dict[str, Any] = {"name": label, "workload": f"{kind.lower()}/{name}"}
    entry |= {"namespace": namespace} if namespace != "default" else {}
    containers = list(documents.entries(item, "spec", "template", "spec", "containers"))
    image = documents.digest(containers[0].get("image", "")) if len(containers) == 1 else ""
    return entry | ({"image": image} if image else {})


def _hosts(item: Mapping[str, Any]) -> Iterator[str]:
    """Yield the hosts of an ingress that have TLS; others have no certificate to judge."""
    for block in documents.entries(item, "spec", "tls"):
        yield from (host for host in documents.texts(block.get("hosts")) if "*" not in host)
