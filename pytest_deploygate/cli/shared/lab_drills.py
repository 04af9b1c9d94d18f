"""The drills on a new lab, which leave dated records."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from pytest_deploygate.checks.backups import section as backups_section
from pytest_deploygate.checks.backups.probe import drill as restore_drill
from pytest_deploygate.checks.backups.probe.seen import Backups
from pytest_deploygate.checks.dns import section as dns_section
from pytest_deploygate.checks.dns.probe import drill as dns_drill
from pytest_deploygate.checks.dns.section import Dns, DnsName
from pytest_deploygate.checks.pages import probe as drilled_pages
from pytest_deploygate.checks.pages import section as pages_section
from pytest_deploygate.checks.replication import section as replication_section
from pytest_deploygate.checks.replication.probe import failover
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.drills.record import Record
from pytest_deploygate.inventory import sections
from pytest_deploygate.inventory.loader import InventoryError
from pytest_deploygate.inventory.loader import load as load_inventory
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.lab import up
from pytest_deploygate.model import CannotTell


def rehearse(say: up.Say) -> None:
    """Run the drills on the new lab, so that there are records of them; say so if there are none."""
    try:
        inventory = load_inventory("lab", Path.cwd()).inventory
    except InventoryError as error:
        say(f"no drills: {error}", 0.0)
        return
    # The two sides use different servers; on each side the drills run one after the other.
    with ThreadPoolExecutor(1) as pool:
        edge = pool.submit(_rehearse_edge, inventory)
        for lines in (_rehearse_database(inventory), edge.result()):
            for what, seconds in lines:
                say(what, seconds)


def _rehearse_database(inventory: Inventory) -> list[tuple[str, float]]:
    """Run the failover drill and then the restore drill; return how each ended and how long it took."""
    if inventory.database is None:
        return []
    found = []
    schema = inventory.writes.schema_ if inventory.writes else None
    with contextlib.closing(Cluster(inventory.database, schema)) as cluster:
        replication = inventory.database.of(replication_section.InDatabase).replication
        if replication.failover:
            began = time.monotonic()
            outcome = _outcome(
                lambda: _said(
                    failover.failover_drill(cluster, replication.failover, replication.load, inventory.name)
                )
            )
            found.append((f"failover drill, on record: {outcome}", time.monotonic() - began))
        if (backup := inventory.of(backups_section.Keys).backup) and backup.scratch:
            began = time.monotonic()
            outcome = _outcome(
                lambda: _restore(cluster, Backups(backup, _time_columns(inventory), inventory.name))
            )
            found.append((f"restore drill, on record: {outcome}", time.monotonic() - began))
    return found


def _outcome(drill: Callable[[], str]) -> str:
    try:
        return drill()
    except CannotTell as unknown:
        return str(unknown)


def _time_columns(inventory: Inventory) -> dict[str, str]:
    partitioned = sections.value(inventory, "partitioned")
    return {p.table: p.column for p in partitioned} if isinstance(partitioned, list) else {}


def _restore(cluster: Cluster, backups: Backups) -> str:
    return _said(restore_drill.restore_drill(cluster, backups).record)


def _said(record: Record[Any] | None) -> str:
    """Return the outcome, with the reason if it is not good."""
    if record is None:
        return "none"
    return record.outcome if record.outcome == "good" else f"{record.outcome} ({record.reason})"


def _rehearse_edge(inventory: Inventory) -> list[tuple[str, float]]:
    """Fail over every name that can; return how each drill ended and how many seconds it took."""
    found = []
    dns = inventory.of(dns_section.Keys).dns
    for name in dns.names if dns else ():
        if dns is not None and name.failover is not None:
            began = time.monotonic()
            outcome = _outcome(partial(_fail_over, dns, name, inventory.name))
            found.append((f"failover of {name.name}, on record: {outcome}", time.monotonic() - began))
    if (pages := inventory.of(pages_section.Keys).pages) and pages.maintenance and pages.maintenance.drill:
        began = time.monotonic()
        outcome = _outcome(lambda: _said(drilled_pages.drill(pages, inventory.name)))
        found.append(
            (f"maintenance page with the application down, on record: {outcome}", time.monotonic() - began)
        )
    return found


def _fail_over(settings: Dns, name: DnsName, environment: str) -> str:
    return _said(dns_drill.failover_drill(settings, name, environment))
