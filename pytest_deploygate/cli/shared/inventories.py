"""The inventory as commands take it: read, or refused with all its problems (exit 4)."""

from __future__ import annotations

from pathlib import Path

import click

from pytest_deploygate.inventory.loader import InventoryError, Loaded, load
from pytest_deploygate.inventory.references import NO_FILE
from pytest_deploygate.probes.postgres import Cluster


class Refused(click.ClickException):
    """A mistake in what was given: exit 4, as pytest has it."""

    exit_code = 4


def read(name: str, *, files_may_lack: bool = False) -> Loaded:
    """Read the inventory that `--inventory` names; with `files_may_lack`, files that it names may be still to come."""
    missing: list[str] = []
    try:
        loaded = load(name, Path.cwd(), missing if files_may_lack else None)
    except InventoryError as error:
        raise Refused(f"\n{error}") from None
    if others := [text for text in missing if NO_FILE not in text]:
        raise Refused("\n" + "\n".join(others))
    return loaded


def database_of(name: str) -> tuple[Cluster, Loaded]:
    """Return the inventory's cluster; files that the inventory names may be still to be written."""
    loaded = read(name, files_may_lack=True)
    if loaded.inventory.database is None:
        raise Refused(f"{loaded.file} has no `database` section; add one with name, user and primary")
    writes = loaded.inventory.writes
    return Cluster(loaded.inventory.database, writes.schema_ if writes else None), loaded
