"""The inventory that a command is given: read, or refused with all its problems (exit 4)."""

from __future__ import annotations

from pathlib import Path

from pytest_deploygate.checklist.parser import Checklist
from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.fields.references import NO_FILE
from pytest_deploygate.inventory.loader import InventoryError, Loaded, load
from pytest_deploygate.session.asking import Asking


def read(name: str, *, files_may_be_missing: bool = False) -> Loaded:
    """Read the inventory that `--inventory` names. With `files_may_be_missing`, files that it names need not exist yet."""
    missing: list[str] = []
    try:
        loaded = load(name, Path.cwd(), missing if files_may_be_missing else None)
    except InventoryError as error:
        raise Refused(str(error)) from None
    if others := [text for text in missing if NO_FILE not in text]:
        raise Refused("\n" + "\n".join(others))
    return loaded


def check_applicable(loaded: Loaded, checklist: Checklist, asked: Asking) -> None:
    """Check that what the inventory declares as not applicable is an item. Raises Refused."""
    known = [item.id for item in checklist.items]
    for entry in loaded.inventory.not_applicable:
        if problem := asked.not_an_item(entry.item, known):
            raise Refused(f"{loaded.file}: not_applicable: {problem}")
