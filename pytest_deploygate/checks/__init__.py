"""What is measured and judged: one folder per subject.

A subject's folder contains `section` (its part of the inventory), `facts` (the measurements), `probe` (observes) and
`judge` (pure), and if needed `fixtures` (for its tests), `grants` (what the gate's role must be granted) and `budget`
(what its active probes may use). Folders are discovered; nothing lists them.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from pathlib import Path
from types import ModuleType

from pytest_deploygate.judging.spending import Limits


def subjects() -> list[str]:
    """Return the names of all subjects."""
    return sorted(found.name for found in pkgutil.iter_modules(__path__) if found.ispkg)


def part(subject: str, name: str) -> ModuleType | None:
    """Return a part of a subject, such as `section`; None if the subject has none."""
    return importlib.import_module(f"{__name__}.{subject}.{name}") if _is_there(subject, name) else None


@cache
def _is_there(subject: str, name: str) -> bool:
    """Look for the file of a part: `find_spec` would import the subject, and most are only looked at."""
    folders = [Path(folder) / subject for folder in __path__]
    return any(
        (folder / file).is_file() for folder in folders for file in (f"{name}.py", f"{name}/__init__.py")
    )


@cache
def limits_of(item: str) -> Limits:
    """Return what each active probe of an item may use in one run, without a word of the inventory."""
    for subject in subjects():
        if (module := part(subject, "budget")) and item in module.LIMITS:
            limits: Limits = module.LIMITS[item]
            return limits
    return Limits()
