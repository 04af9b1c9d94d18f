"""Alembic's script folder as its alembic.ini describes it: where version files are."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pytest_deploygate.files import bounded
from pytest_deploygate.model import CannotTell


def directory(folder: Path, ini: Path | None) -> Any:
    """Return Alembic's own ScriptDirectory. Raises CannotTell if a version folder is missing; Alembic's errors pass."""
    from alembic.config import Config  # noqa: PLC0415 (an extra)
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    found = ini or _beside(folder)
    if found is None:
        return ScriptDirectory(str(folder))
    config = Config(str(found))
    given = config.get_main_option("version_locations") or ""
    places = [_place(found, word) for word in re.split(r"[\s,;:]+", given) if word]
    lacking = [str(place) for place in places if not place.is_dir()]
    if lacking:
        raise CannotTell(f"{found} names the version folder {lacking[0]}, which does not exist")
    recursive = (config.get_main_option("recursive_version_locations") or "").lower() in (
        "true",
        "yes",
        "1",
        "on",
    )
    return ScriptDirectory(
        str(folder),
        version_locations=[str(place) for place in places] or None,
        recursive_version_locations=recursive,
    )


def unread(folder: Path, read: Iterable[str]) -> list[str]:
    """Return files below `folder` that look like migrations and were not read: their folder is not known to Alembic."""
    known = {Path(path).resolve() for path in read}
    return sorted(
        str(file.relative_to(folder))
        for file in folder.rglob("*.py")
        if file.resolve() not in known and file.name != "env.py" and _is_migration(file)
    )


def _is_migration(file: Path) -> bool:
    try:
        source = bounded.read(file, bounded.SQL)
    except OSError:  # Alembic cannot read it either
        return False
    return all(re.search(rb"^%s\b" % name, source, re.MULTILINE) for name in (b"down_revision", b"revision"))


def _beside(folder: Path) -> Path | None:
    """Return the alembic.ini in the folder or above it whose `script_location` is this folder."""
    from alembic.config import Config  # noqa: PLC0415 (an extra)

    for place in (folder, folder.parent):
        ini = place / "alembic.ini"
        if ini.is_file():
            given = Config(str(ini)).get_main_option("script_location") or ""
            if given and _place(ini, given).resolve() == folder.resolve():
                return ini
    return None


def _place(ini: Path, given: str) -> Path:
    return Path(given) if Path(given).is_absolute() else ini.parent / given
