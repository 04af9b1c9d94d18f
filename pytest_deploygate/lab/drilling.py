"""Drills that faults run on a broken lab: the record of a failed drill is then one that a drill wrote."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path

from pytest_deploygate.checks.dns import section as dns_section
from pytest_deploygate.checks.dns.probe import drill as dns_drill
from pytest_deploygate.checks.pages import probe as pages
from pytest_deploygate.checks.pages import section as pages_section
from pytest_deploygate.checks.replication import section as replication
from pytest_deploygate.checks.replication.probe import failover
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.inventory.loader import InventoryError, load
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.lab.state import Lab, LabError, held_for_children
from pytest_deploygate.model import CannotTell

#: How long a drill waits for a switch of DNS. The lab's controller needs about a second.
_PATIENCE = timedelta(seconds=12)


def fail_over_database(lab: Lab) -> str:
    """Run the failover drill of the database; return its outcome. A drill that fails may leave db1 stopped.

    Raises LabError where it cannot be run.
    """
    inventory = _inventory()
    if inventory.database is None:
        raise LabError("the inventory lab.yml has no `database` section, so there is nothing to drill")
    schema = inventory.writes.schema_ if inventory.writes else None
    bounds = inventory.database.of(replication.InDatabase).replication
    with held_for_children(lab.folder), closing(Cluster(inventory.database, schema)) as cluster:
        try:
            return failover.failover_drill(cluster, bounds.failover, bounds.load).outcome
        except CannotTell as error:
            raise LabError(f"the failover drill could not be run: {error}") from None


def fail_over_name(lab: Lab) -> str:
    """Run the drill of the one name that fails over; return its outcome. Raises LabError where it cannot be run."""
    settings = _inventory().of(dns_section.Keys).dns
    for name in settings.names if settings else ():
        if settings is not None and name.failover is not None:
            quick = name.failover.model_copy(update={"within": _PATIENCE})
            with held_for_children(lab.folder):
                try:
                    return dns_drill.failover_drill(
                        settings, name.model_copy(update={"failover": quick})
                    ).outcome
                except CannotTell as error:
                    raise LabError(f"the DNS failover drill could not be run: {error}") from None
    raise LabError("no name in the inventory lab.yml has a `failover`, so there is nothing to drill")


def show_maintenance_page(lab: Lab) -> str:
    """Run the drill of the maintenance page; return its outcome. Raises LabError where it cannot be run."""
    section = _inventory().of(pages_section.Keys).pages
    if section is None:
        raise LabError("the inventory lab.yml has no `pages` section, so there is nothing to drill")
    with held_for_children(lab.folder):
        try:
            return pages.drill(section).outcome
        except CannotTell as error:
            raise LabError(f"the drill of the maintenance page could not be run: {error}") from None


def _inventory() -> Inventory:
    """Return the lab's inventory of the project that we are in. Raises LabError."""
    try:
        return load("lab", Path.cwd()).inventory
    except InventoryError as error:
        raise LabError(f"no drill can be run: {' '.join(str(error).split())}") from None
