"""Records that a command writes: their time, their names, whole files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import click

from pytest_deploygate.cli.shared.journals import Damaged
from pytest_deploygate.files import holds, write_whole


def present() -> datetime:
    """Return the present in UTC, in whole seconds as in records."""
    return datetime.now(UTC).replace(microsecond=0)


def free_file(folder: Path, stem: str) -> Path:
    """Return a path for a new record that does not exist yet."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "", stem)[:120]
    names = [plain, *(f"{plain}-{n}" for n in range(2, 1000))]
    return next(path for name in names if not (path := folder / f"{name}.yml").exists())


def write(path: Path, text: str) -> None:
    """Write a new record, whole or not at all. Raises click.ClickException."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from None


def look_again(written: Mapping[Path, str]) -> None:
    """Read again what a command wrote, at its end. Raises Damaged (exit 25) for what is not there."""
    if lost := [str(path) for path, text in written.items() if not holds(path, text)]:
        raise Damaged(
            f"{', '.join(lost)} was removed, replaced or changed by something else while the command wrote to it: run it again"
        )
