"""Files of the way back: when users moved, what a rollback saves, and what the guards of the way back look at."""

from __future__ import annotations

from pathlib import Path

from pytest_deploygate.lab.state import Lab

#: The inventory that measures the guards of the way back.
INVENTORY = "lab-guards"


def cutover(lab: Lab) -> Path:
    """Return the file with the time since which version 2 serves users; it exists from its deployment on."""
    return lab.folder / "cutover"


def guards(lab: Lab) -> dict[str, Path]:
    """Return what the guards look at: the record before the change, rehearsals, the cutover, and saved rows."""
    folder = lab.folder / "guards"
    return {
        "baseline": folder / "before",
        "rehearsals": folder / "rehearsals.json",
        "cutover": folder / "cutover",
        "saved": folder / "saved" / "rows.csv",
    }


def values(lab: Lab) -> dict[str, str]:
    """Return what inventories refer to."""
    found = {
        "cutover": str(cutover(lab)),
        "lost-writes": str(lab.folder / "lost-writes.csv"),
        "rehearsals": str(lab.folder / "jobs" / "rollback-rehearsals.json"),
    }
    return found | {f"guards.{name}": str(path) for name, path in guards(lab).items()}
