"""Running checklist items as a verification, in a folder of their own: the rollback holds the change's journal."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pytest_deploygate import startup
from pytest_deploygate.files import bounded
from pytest_deploygate.rollback.verification import RunItems

_BOUND_S = 600.0
_GOOD = ("pass", "attested", "not_applicable")


def runner(root: Path, inventory: str, folder: Path) -> RunItems:
    """Return a function that runs items against an inventory and reports those that are not good."""

    def run(items: Sequence[str]) -> str:
        out = folder / "verification"
        command = [
            sys.executable, "-m", "pytest", *startup.first(), f"--deploygate-inventory={inventory}", f"--items={','.join(items)}",
            f"--deploygate-out={out}", "--fresh", "-q", "-p", "no:cacheprovider",
            "--override-freeze=deploygate: a rollback is never frozen",
        ]  # fmt: skip
        try:
            done = subprocess.run(
                command, cwd=root, env=os.environ | {"NO_COLOR": "1"}, stdin=subprocess.DEVNULL,
                capture_output=True, text=True, timeout=_BOUND_S, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"{', '.join(items)}: did not end within {_BOUND_S:g} s"
        try:
            found = bounded.from_json(bounded.read(out / "verdicts.json", bounded.MADE))["items"]
        except (OSError, ValueError, KeyError):
            return f"the items could not be run (exit code {done.returncode}): {' '.join(done.stdout.split())[-300:]}"
        verdicts = {entry["id"]: entry for entry in found if entry["id"] in items}
        missing = [item for item in items if item not in verdicts]
        bad = [
            f"{name}: {e['verdict']}: {e['reason']}"
            for name, e in verdicts.items()
            if e["verdict"] not in _GOOD
        ]
        return "; ".join([*(f"{name}: no verdict" for name in missing), *bad])

    return run
