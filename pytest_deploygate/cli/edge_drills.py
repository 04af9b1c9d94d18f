"""The drills of the edge on a new lab, so that dated records of them are there."""

from __future__ import annotations

import time

from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.lab.up import Say
from pytest_deploygate.model import CannotTell
from pytest_deploygate.probes import dns_drill, pages


def rehearse(inventory: Inventory, say: Say) -> None:
    """Let every name fail over that can; say how each drill ended."""
    for name in inventory.dns.names if inventory.dns else ():
        if inventory.dns is None or name.failover is None:
            continue
        began = time.monotonic()
        try:
            outcome = dns_drill.drill(inventory.dns, name).outcome
        except CannotTell as unknown:
            outcome = str(unknown)
        say(f"failover of {name.name}, on record: {outcome}", time.monotonic() - began)
    if inventory.pages and inventory.pages.maintenance and inventory.pages.maintenance.drill:
        began = time.monotonic()
        try:
            outcome = pages.drill(inventory.pages).outcome
        except CannotTell as unknown:
            outcome = str(unknown)
        say(f"maintenance page with the application down, on record: {outcome}", time.monotonic() - began)
