"""Django: `django_migrations` and the modules in `APP/migrations/` (django.db.migrations.loader).

Only the apps of the folder are compared: rows of installed packages (auth, admin, …) belong to code that is elsewhere. A
squashed migration is applied if it is recorded, or if all that it replaces are. Django ignores rows without a module.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_deploygate.checks.migrations.facts import Compared
from pytest_deploygate.checks.migrations.probe.own_files import below, reading
from pytest_deploygate.lazy import dataclass

_LABEL = re.compile(r"^\s+label\s*=\s*[\"'](?P<label>\w+)[\"']", re.MULTILINE)
ROWS = "SELECT app || '.' || name FROM {table} ORDER BY id"


@dataclass(frozen=True)
class Modules:
    """The migrations, app.name, each with those that it replaces."""

    replaces: dict[str, tuple[str, ...]]

    @property
    def apps(self) -> frozenset[str]:
        """The apps that have a folder of migrations here."""
        return frozenset(name.partition(".")[0] for name in self.replaces)


def read(folder: Path) -> Modules:
    """Read `APP/migrations/NAME.py` below a project; names that begin with _ or ~ are no migrations for Django."""
    found: dict[str, tuple[str, ...]] = {}
    for file in below(folder):
        if file.parent.name == "migrations" and file.suffix == ".py" and file.stem[0] not in "_~":
            found[f"{_label(file.parent.parent)}.{file.stem}"] = _replaces(file)
    return Modules(found)


def _label(app: Path) -> str:
    """Return an app's label, which is what `django_migrations` has: that of its AppConfig, or its folder's name."""
    config = app / "apps.py"
    with reading(config):
        found = _LABEL.search(config.read_text(encoding="utf-8")) if config.is_file() else None
    return found["label"] if found else app.resolve().name


def compare(modules: Modules, rows: Sequence[Sequence[Any]]) -> Compared:
    """Compare as `manage.py showmigrations` does."""
    recorded = [str(row[0]) for row in rows]
    done = set(recorded)
    for name, replaced in modules.replaces.items():
        if replaced and done.issuperset(replaced):
            done.add(name)
    for name, replaced in modules.replaces.items():
        if name in done:
            done.update(replaced)
    pending = tuple(name for name in modules.replaces if name not in done)
    known = set(modules.replaces).union(*modules.replaces.values())
    strange = [name for name in recorded if name not in known]
    mine = [name for name in strange if name.partition(".")[0] in modules.apps]
    # Rows older than the newest one that the code knows are of files that were squashed or deleted; newer ones are ahead.
    last = {name.partition(".")[0]: at for at, name in enumerate(recorded) if name in known}
    ahead = [name for name in mine if recorded.index(name) > last.get(name.partition(".")[0], -1)]
    squashed = any(_squash(name) for name in modules.replaces)
    unknown = tuple(ahead if not squashed else [n for n in ahead if not _below_squash(n, modules)])
    notes = []
    if left := [name for name in mine if name not in unknown]:
        notes.append(
            f"{len(left)} rows are of migrations that were squashed or deleted since: {', '.join(left[:3])}"
        )
    if others := sorted({name.partition(".")[0] for name in strange} - modules.apps):
        notes.append(f"not compared, their code is not in the folder: {', '.join(others)}")
    return Compared(pending, unknown, ahead=bool(unknown), notes=tuple(notes))


def _squash(name: str) -> bool:
    return "_squashed_" in name


def _below_squash(name: str, modules: Modules) -> bool:
    """Return whether a squashed migration's name says that it replaced this one: 0001_squashed_0004 and 0003."""
    app, _, own = name.partition(".")
    ends = [
        n.rpartition("_squashed_")[2][:4] for n in modules.replaces if n.startswith(f"{app}.") and _squash(n)
    ]
    return any(own[:4].isdigit() and end.isdigit() and own[:4] <= end for end in ends)


def _replaces(file: Path) -> tuple[str, ...]:
    """Return what a squashed migration replaces, from its source; it is not run."""
    with reading(file):
        source = file.read_bytes()
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return ()
    for node in ast.walk(tree):
        named = isinstance(node, ast.Assign) and any(getattr(t, "id", "") == "replaces" for t in node.targets)
        if named and isinstance(node, ast.Assign):
            try:
                return tuple(f"{app}.{name}" for app, name in ast.literal_eval(node.value))
            except (ValueError, TypeError):
                return ()
    return ()
