"""The values that inventories refer to as `lab:NAME`: those of the cluster, of its backups, and of each service."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_deploygate.lab import backups, services, way_back
from pytest_deploygate.lab.services import Service
from pytest_deploygate.lab.state import Lab


def of(lab: Lab, up: Iterable[Service]) -> dict[str, str]:
    """Return the values of a lab in which the services `up` run; `without.SERVICE` for each that it does without."""
    found = lab.values() | backups.values(lab) | way_back.values(lab)
    for service in up:
        found |= {f"password.{name}": str(lab.secret_file(name)) for name in service.secrets}
        found |= service.values(lab)
    here = {service.name for service in services.running(lab)}
    return found | {f"without.{s.name}": "true" for s in services.all_services() if s.name not in here}
