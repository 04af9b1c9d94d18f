"""Databases, records and rules of a Terraform or OpenTofu state, by their documentation only (AWS provider).

`terraform show -json` (`values.root_module`) and the state file itself (version 4, `resources`) are read. A state holds
passwords in plain text: only the attributes that are named here are looked at.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_deploygate.discovery import documents
from pytest_deploygate.discovery.found import Fact, Found, Wanted
from pytest_deploygate.model import CannotTell

Resource = tuple[str, str, Mapping[str, Any]]
_MOST = 20


def look(path: Path) -> Found:
    """Return what is found. Raises CannotTell if the file is no state."""
    document = documents.mapping(documents.json(path))
    resources = [*_shown(documents.mapping(document, "values", "root_module")), *_state(document)]
    if not resources:
        raise CannotTell(f"{path} has no resources: write it with `terraform show -json > state.json`")
    facts = list(_databases(resources, path.name))
    wanted = [*_records(resources), *_rules(resources)]
    return Found(tuple(facts), (), tuple(wanted), tuple(_others(resources, path.name)))


def _shown(module: Mapping[str, Any]) -> Iterator[Resource]:
    """Yield the resources of `terraform show -json`, also those of modules in modules."""
    for each in documents.entries(module, "resources"):
        if each.get("mode", "managed") == "managed":
            yield str(each.get("type")), str(each.get("address")), documents.mapping(each, "values")
    for child in documents.entries(module, "child_modules"):
        yield from _shown(child)


def _state(document: Mapping[str, Any]) -> Iterator[Resource]:
    for each in documents.entries(document, "resources"):
        for instance in documents.entries(each, "instances"):
            if each.get("mode") == "managed":
                address = f"{each.get('type')}.{each.get('name')}"
                yield str(each.get("type")), address, documents.mapping(instance, "attributes")


def _databases(resources: list[Resource], file: str) -> Iterator[Fact]:
    """Yield the first primary of PostgreSQL on RDS with its replicas."""
    ours = [
        (a, v) for kind, a, v in resources if kind == "aws_db_instance" and str(v.get("engine")) == "postgres"
    ]
    primary = next(((a, v) for a, v in ours if not v.get("replicate_source_db") and v.get("address")), None)
    if primary is None:
        return
    address, values = primary
    seen = f"{file}: {address}"
    name, user = values.get("db_name") or values.get("name"), values.get("username")
    if not (name and user):
        return
    yield Fact(("database", "name"), str(name), seen)
    yield Fact(
        ("database", "user"), str(user), f"{seen}; the gate needs a role of its own (`deploygate grants`)"
    )
    yield Fact(("database", "primary"), _node(values), seen)
    sources = {str(values.get(key)) for key in ("identifier", "id", "arn") if values.get(key)}
    for where, replica in ours:
        if str(replica.get("replicate_source_db")) in sources and replica.get("address"):
            yield Fact(("database", "replicas"), _node(replica), f"{file}: {where}", entry=True)


def _node(values: Mapping[str, Any]) -> dict[str, Any]:
    node: dict[str, Any] = {"host": str(values["address"])}
    port = values.get("port")
    return node | ({"port": port} if isinstance(port, int) and port != 5432 else {})


def _records(resources: list[Resource]) -> Iterator[Wanted]:
    names = [
        str(v.get("fqdn") or v.get("name"))
        for k, _, v in resources
        if k == "aws_route53_record" and v.get("type") in ("A", "AAAA", "CNAME")
    ]
    for name in list(dict.fromkeys(names))[:_MOST]:
        yield Wanted("dns.names", f"Route 53 has {name}: --domain {name.rstrip('.')} looks at it")


def _rules(resources: list[Resource]) -> Iterator[Wanted]:
    for kind, address, values in resources:
        if kind != "aws_security_group":
            continue
        for rule in documents.entries(values, "ingress"):
            sources = [
                *documents.texts(rule.get("cidr_blocks")),
                *documents.texts(rule.get("ipv6_cidr_blocks")),
            ]
            low, high = rule.get("from_port"), rule.get("to_port")
            ports = str(low) if low == high else f"{low}-{high}"
            if sources:
                yield Wanted(
                    "firewall.rules",
                    f"{address} lets {rule.get('protocol')}/{ports} in from {', '.join(sources)}",
                )


def _others(resources: list[Resource], file: str) -> Iterator[str]:
    for kind, address, values in resources:
        if kind == "aws_db_instance" and str(values.get("engine")) == "postgres":
            days = values.get("backup_retention_period")
            if days == 0:
                yield f"{file}: {address} keeps no automatic backups (backup_retention_period is 0)"
