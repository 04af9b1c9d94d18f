"""What the checks of this subject need beside privileges in a database."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.checks.load_balancer.section import LoadBalancer
from pytest_deploygate.fields.grants import BesideSql, Need
from pytest_deploygate.fields.handed import Sections

_ITEMS = ("infra.load-balancer",)


def needs(sections: Sections) -> Iterator[Need]:
    """Yield what the inventory's sections need."""
    section: LoadBalancer | None = sections.get("load_balancer")
    if section is None:
        return
    controls = [control for pool in section.pools for control in pool.control]
    if any(control.haproxy and control.haproxy.socket for control in controls):
        yield BesideSql(
            _ITEMS,
            "HAProxy's runtime socket, level `user` is enough (`show stat`), and read access to its configuration",
        )
    if any(control.nginx for control in controls):
        yield BesideSql(_ITEMS, "read access to nginx's whole configuration (`nginx -T`)")
    if any(control.kubernetes for control in controls):
        yield BesideSql(_ITEMS, "in Kubernetes: `get` and `list` on endpointslices and pods")
    if any(pool.drill for pool in section.pools):
        yield BesideSql(_ITEMS, "for the drill: whatever its `break` and `repair` commands need")
