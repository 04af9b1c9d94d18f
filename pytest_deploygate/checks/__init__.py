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
    return list(_subjects(tuple(__path__)))


@cache
def _subjects(folders: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(found.name for found in pkgutil.iter_modules(folders) if found.ispkg))


def subject_of(module: str) -> str:
    """Return the subject that a module is of, by the module's name."""
    return module.removeprefix(f"{__name__}.").partition(".")[0]


def part(subject: str, name: str) -> ModuleType | None:
    """Return a part of a subject, such as `section`; None if the subject has none."""
    return importlib.import_module(f"{__name__}.{subject}.{name}") if files(subject, name) else None


def files(subject: str, name: str) -> tuple[Path, ...]:
    """Return the source files of a part of a subject, which is not imported; none if the subject has no such part."""
    return _files(tuple(__path__), subject, name)


@cache
def _files(folders: tuple[str, ...], subject: str, name: str) -> tuple[Path, ...]:
    for folder in folders:
        within = Path(folder, subject)
        if (file := within / f"{name}.py").is_file():
            return (file,)
        if (within / name / "__init__.py").is_file():
            return tuple(sorted((within / name).glob("*.py")))
    return ()


@cache
def limits_of(item: str) -> Limits:
    """Return what each active probe of an item may use in one run, without a word of the inventory."""
    for subject in subjects():
        if (module := part(subject, "budget")) and item in module.LIMITS:
            limits: Limits = module.LIMITS[item]
            return limits
    return Limits()
