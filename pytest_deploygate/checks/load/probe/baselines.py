"""An earlier run's response times, from a change's folder or from a file that `deploygate load --save` wrote."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_deploygate.checks.load.facts import Baseline
from pytest_deploygate.files import bounded

_MOST_BYTES = 64 << 20


def baseline(path: Path | None, endpoint: str) -> Baseline:
    """Return the newest complete run of an endpoint in a folder's evidence, or in a file.

    A missing baseline is a value of the facts (`problem`); nothing is raised.
    """
    if path is None:
        return Baseline("", endpoint, problem="no baseline is configured")
    if not path.exists():
        return Baseline(str(path), endpoint, problem=f"there is no file or folder {path}")
    found = [b for file in _files(path) for b in _runs(file, endpoint)]
    if not found:
        return Baseline(str(path), endpoint, problem=f"{path} contains no complete run of {endpoint}")
    return max(found, key=lambda baseline: baseline.started)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    folder = path / "evidence" if (path / "evidence").is_dir() else path
    return sorted(folder.glob("*.json"))


def _runs(file: Path, endpoint: str) -> Iterator[Baseline]:
    try:
        if file.stat().st_size > _MOST_BYTES:
            return
        content: Any = bounded.from_json(bounded.read(file, bounded.MADE))
        run = content["measurement"]
        run = run.get("run", run)
        if run["stopped"]:
            return
        for found in (run["whole"], *run["endpoints"]):
            if found["name"] == endpoint and found["histogram"]:
                rate = float(run["client"]["rate_achieved"])
                counts = int(found["requests"]), int(found["failed"])
                yield Baseline(
                    str(file), endpoint, str(run["started"]), rate, *counts, str(found["histogram"])
                )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return  # another check's evidence
