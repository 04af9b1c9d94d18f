"""What is measured and judged: one folder per subject.

A subject's folder contains `section` (its part of the inventory), `facts` (the measurements), `probe` (observes) and
`judge` (pure), and if needed `fixtures` (for its tests) and `grants` (what the gate's role must be granted). Folders
are discovered; nothing lists them.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from types import ModuleType


def subjects() -> list[str]:
    """Return the names of all subjects."""
    return sorted(found.name for found in pkgutil.iter_modules(__path__) if found.ispkg)


def part(subject: str, name: str) -> ModuleType | None:
    """Return a part of a subject, such as `section`; None if the subject has none."""
    full = f"{__name__}.{subject}.{name}"
    return importlib.import_module(full) if importlib.util.find_spec(full) else None
