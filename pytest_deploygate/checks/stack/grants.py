"""What the checks of this subject need beside privileges in a database."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.checks.stack.section import Stack
from pytest_deploygate.fields.grants import BesideSql, Need
from pytest_deploygate.fields.handed import Sections
from pytest_deploygate.fields.hosts import HERE

_ITEMS = ("phase1.stack", "phase1.services")


def needs(sections: Sections) -> Iterator[Need]:
    """Yield what the inventory's sections need."""
    stack: Stack | None = sections.get("stack")
    if stack is None:
        return
    if any(name != HERE for component in stack.components for name in component.hosts or []):
        yield BesideSql(_ITEMS, "a login with a POSIX shell on each host of `stack.components`")
    if any(component.container and component.api is None for component in stack.components):
        yield BesideSql(
            _ITEMS,
            "on hosts with containers, the right to run `docker container inspect` or podman's (`run_as: root`)",
        )
    if any(component.workload for component in stack.components):
        yield BesideSql(
            _ITEMS, "kubectl here, which may `get` and `list` workloads and pods in their namespaces"
        )
    if stack.plans:
        yield BesideSql(
            _ITEMS[:1], "Terraform or OpenTofu here, with credentials that read the state and all resources"
        )
