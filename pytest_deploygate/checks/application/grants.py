"""What the checks of this subject need beside privileges in a database."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.checks.application.section import Application
from pytest_deploygate.fields.grants import BesideSql, Need
from pytest_deploygate.fields.handed import Sections
from pytest_deploygate.fields.hosts import HERE

_ITEMS = ("phase3.containers", "phase3.services")


def needs(sections: Sections) -> Iterator[Need]:
    """Yield what the inventory's sections need."""
    application: Application | None = sections.get("application")
    replicas = [each for service in application.services for each in service.replicas] if application else []
    if any(name != HERE for each in replicas for name in each.hosts or []):
        yield BesideSql(_ITEMS, "a login with a POSIX shell on each host of `application.services`")
    if any(each.container and each.api is None for each in replicas):
        yield BesideSql(
            _ITEMS,
            "on hosts with containers, the right to run `docker container inspect` or podman's (`run_as: root`)",
        )
    if any(each.workload for each in replicas):
        yield BesideSql(
            _ITEMS, "kubectl here, which may `get` and `list` workloads and pods in their namespaces"
        )
