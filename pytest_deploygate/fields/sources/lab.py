"""`lab:NAME`: a value of the running lab (`deploygate lab up`), from the state file that the lab writes."""

from __future__ import annotations

import hashlib
import json
import os
from functools import lru_cache
from pathlib import Path

from pytest_deploygate.fields.sources import Absent, Source, file

STATE_FILE = "state.json"
#: The lab's inventories, which come with the package: `--inventory lab` works in any folder.
INVENTORIES = Path(__file__).resolve().parents[2] / "lab" / "inventories"


def lab_folder(start: Path | None = None) -> Path:
    """Return the lab's state folder: `$DEPLOYGATE_LAB`, else a folder under /var/tmp named after the project's folder.

    The project is the nearest folder with `inventories`, from `start` upwards, else from the current folder upwards, else
    the current folder itself. The state is outside of it because servers run as another user, who must be able to reach
    it, and because socket paths are limited to 107 bytes.
    """
    if named := os.environ.get("DEPLOYGATE_LAB"):
        return Path(named)
    here = Path.cwd().resolve()
    project = (_project(start.resolve()) if start else None) or _project(here) or here
    digest = hashlib.sha256(str(project).encode()).hexdigest()[:8]
    return Path("/var/tmp") / f"deploygate-lab-{os.getuid()}-{digest}"  # noqa: S108 (our own folder, mode 0711)


def _project(start: Path) -> Path | None:
    """Return the nearest folder with inventories; None where there is none, or for the lab's own inventories."""
    if start.is_relative_to(INVENTORIES):
        return None
    return next((folder for folder in (start, *start.parents) if (folder / "inventories").is_dir()), None)


def _values(base: Path) -> dict[str, object] | None:
    """Return the running lab's values; None if no lab runs."""
    file = lab_folder(base) / STATE_FILE
    try:
        status = file.stat()
        return _read(file, (status.st_ino, status.st_size, status.st_mtime_ns))
    except (OSError, ValueError, KeyError):
        return None


@lru_cache(maxsize=1)  # an inventory asks for a hundred values, one by one
def _read(file: Path, _state: tuple[int, ...]) -> dict[str, object]:
    values: dict[str, object] = json.loads(file.read_text())["values"]
    return values


def _text(name: str, base: Path) -> str:
    values = _values(base)
    if values is None:
        raise Absent("the lab is not running; start it with `deploygate lab up`")
    if name not in values:
        raise ValueError(f"the lab has no value {name!r}; it has {', '.join(sorted(values))}")
    return str(values[name])


def _secret(name: str, base: Path) -> str:
    """Return a secret of the lab. Its value is the path of a file with the secret, so that the state file contains none."""
    return file.secret(_text(name, base), base)


def _lacks(name: str, base: Path) -> bool:
    """Tell whether the running lab lacks a value, because a program for it is not installed.

    If no lab runs, nothing counts as lacking: the error is reported where its values are read.
    """
    values = _values(base)
    return values is not None and name not in values


SOURCE = Source("lab", _secret, text=_text, lacks=_lacks)
