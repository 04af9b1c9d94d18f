"""The rollback of a new lab: its runbook rehearsed, the baseline measured, the cutover recorded."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from pytest_deploygate import startup
from pytest_deploygate.checks.way_back import section as way_back
from pytest_deploygate.checks.way_back.section.rollback import Rollback
from pytest_deploygate.inventory.loader import InventoryError, load
from pytest_deploygate.journal import Writer
from pytest_deploygate.lab.state import Lab
from pytest_deploygate.lab.way_back import INVENTORY, guards
from pytest_deploygate.rollback import execution, going_back, hooks, items, runbook
from pytest_deploygate.rollback.actions import Tools

_BOUND_S = 120.0


def rehearse(lab: Lab, root: Path) -> str:
    """Do what a team does before its day. Return what went wrong, else nothing."""
    guards(lab)["saved"].parent.mkdir(parents=True, exist_ok=True)
    try:
        section = load(INVENTORY, root).inventory.of(way_back.Keys).rollback
    except InventoryError as error:  # there is none, or this machine lacks a server
        return " ".join(str(error).split())
    problem = _baseline(lab, root) or _runbook(lab, root, section)
    guards(lab)["cutover"].write_text(datetime.now(UTC).isoformat() + "\n")
    return problem


def _baseline(lab: Lab, root: Path) -> str:
    """Measure, before the change, what could call for a rollback."""
    command = [
        sys.executable, "-m", "pytest", *startup.first(), f"--deploygate-inventory={INVENTORY}", "--items=golive.dns,crit.data-loss",
        "--change=before",
        f"--deploygate-out={guards(lab)['baseline']}", "--fresh", "-q", "-p", "no:cacheprovider",
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=root, env=os.environ | {"NO_COLOR": "1"}, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=_BOUND_S, check=False,
    )  # fmt: skip
    # 21: a change of its own has no decisions of earlier phases; only what was measured counts.
    return "" if done.returncode in (0, 21) else f"the baseline ended with exit code {done.returncode}"


def _runbook(lab: Lab, root: Path, section: Rollback | None) -> str:
    if section is None or section.rehearsals is None:
        return ""
    complaints: list[str] = []
    loaded = hooks.load(root, lambda where, what: complaints.append(f"{where}: {what}"))
    tools = Tools("rehearsal", loaded, items.runner(root, INVENTORY, lab.folder / "guards"))
    writer = Writer(lab.folder / "guards" / "rehearsal")
    try:
        ended = execution.execute(writer, "rehearsal", going_back.steps(section, loaded), tools)
    finally:
        writer.close()
    if not ended.verified:
        return f"the runbook's rehearsal failed at {ended.failed}: {ended.why}"
    runbook.remember(section.rehearsals, going_back.durations(ended))
    return ""
