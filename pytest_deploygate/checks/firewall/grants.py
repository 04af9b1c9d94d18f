"""What the checks of this subject need beside privileges in a database."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.checks.firewall.section import Firewall
from pytest_deploygate.fields.grants import BesideSql, Need
from pytest_deploygate.fields.handed import Sections
from pytest_deploygate.fields.hosts import HERE

_ITEMS = ("sec.firewall",)


def needs(sections: Sections) -> Iterator[Need]:
    """Yield what the inventory's sections need."""
    firewall: Firewall | None = sections.get("firewall")
    if firewall is None:
        return
    if firewall.listeners or any(name != HERE for rule in firewall.rules for name in rule.from_):
        yield BesideSql(
            _ITEMS,
            "a login with a POSIX shell on each host that attempts are made from or whose listeners are judged, with python3, bash or nc",
        )
    if firewall.host_policy:
        yield BesideSql(
            _ITEMS, "root on each host of `host_policy`, to read its packet filter (`run_as: root`)"
        )
