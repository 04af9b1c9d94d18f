"""The failover drill of each name that has a standby."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from pytest_deploygate.checks.dns.probe.drill import failover_drill
from pytest_deploygate.drills.planned import Drill
from pytest_deploygate.fields.handed import Sections


def drills(sections: Sections, environment: str, _writes_schema: str | None) -> Iterator[Drill]:
    """Yield a drill for each name with a `failover` section."""
    dns = sections.get("dns")
    for name in dns.names if dns else ():
        if name.failover is not None:
            yield Drill(f"failover of {name.name}", "edge", partial(failover_drill, dns, name, environment))
