"""The servers that an Ansible inventory lists, as Ansible's own program reads it."""

from __future__ import annotations

from typing import Any

from pytest_deploygate.checks.hosts.listing import ansible, connections
from pytest_deploygate.checks.hosts.section import Host, Hosts
from pytest_deploygate.redaction import Secret

__all__ = ["ask", "complete"]


def ask(section: Hosts) -> list[dict[str, Any]]:
    """Return the servers of the section's Ansible inventory, each as the keys of a `Host`; passwords are plain text.

    Raises ValueError with a sentence for people.
    """
    if section.ansible is None:
        return []
    listed = ansible.read(section.ansible)
    return [connections.of(each, listed.defaults, section.ansible) for each in listed.hosts]


def complete(section: Hosts, data: list[dict[str, Any]]) -> Hosts:
    """Return the section with these servers. Raises ValueError."""
    return section.listing([_host(**each) for each in data])


def _host(*, run_as_password: str | None = None, **keys: Any) -> Host:
    password = Secret(run_as_password) if run_as_password else None
    return Host.model_validate({**keys, "run_as_password": password})
