"""The folder of the change that a command is given."""

from __future__ import annotations

import json
from pathlib import Path

import click

from pytest_deploygate import journal
from pytest_deploygate.checklist.parser import slug
from pytest_deploygate.cli.shared import arguments
from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.files import bounded
from pytest_deploygate.problems import nearest

OUT = "deploygate-out"


def of(change: str, given: Path | None, root: Path) -> Path:
    """Return the folder that is given directly, else that of the change. Raises Refused (exit 4) with the nearest change."""
    if given is not None:
        if not given.is_dir():
            raise Refused(f"there is no folder {given}")
        return given
    folder = place(change, root)
    if not folder.is_dir():
        others = sorted(f.parent.name for f in (root / OUT).glob("*/journal.jsonl"))
        raise Refused(
            f"there is no folder {folder}: no run of the change {change!r} wrote one{nearest(change, others)}"
        )
    return folder


def place(change: str, root: Path) -> Path:
    """Return where the folder of a change is or would be. Raises Refused (exit 4)."""
    try:
        arguments.check_change(change)
    except click.UsageError as error:
        raise Refused(error.message) from None
    return root / OUT / change


def written_for(folder: Path) -> str:
    """Return the change of the first run in a folder's journal; empty if that cannot be told."""
    try:
        first = json.loads(bounded.read(folder / journal.FILE, journal.MOST_BYTES).partition(b"\n")[0])
        return str(first["change"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""


def roles(given: str | None) -> tuple[str, ...] | None:
    """Read `--roles "Deployment lead,technical-lead"`; None means those of the journal."""
    if given is None:
        return None
    named = tuple(dict.fromkeys(slug(role) for role in given.split(",") if role.strip()))
    if not named:
        raise Refused("--roles: name at least one role, with commas between them")
    return named
