"""The repository that a command works in: its root, its checklist, its inventories, and the records in it."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from pytest_deploygate.checklist import comparison, parser
from pytest_deploygate.checklist.parser import Checklist, ChecklistError
from pytest_deploygate.checklist.records import RecordsError, parse_time
from pytest_deploygate.cli.shared import suites
from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.model import parse_duration
from pytest_deploygate.problems import nearest
from pytest_deploygate.redaction import redact
from pytest_deploygate.session import declared
from pytest_deploygate.session.settings import shipped_checklist

_CHANGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_NAME = re.compile(r"^name:\s*[\"']?([^\"'#\s]+)", re.MULTILINE)
_CONFIGURATION = ("pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")


def repository(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `root` and `checklist`, from the current folder and `--checklist`."""

    @click.option(
        "--checklist",
        "file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="The checklist, if not suites/checklist.md.",
    )
    @functools.wraps(command)
    def inner(*args: Any, file: Path | None, **options: Any) -> None:
        root = find_root(Path.cwd())
        with plainly():
            command(*args, root=root, checklist=resolved(root, file), **options)

    return inner


def resolved(root: Path, file: Path | None) -> Checklist:
    """Return the checklist as a run of this repository sees it: an item without a test is attested by a person."""
    told = suites.read(root)
    own = root / "suites" / "checklist.md"
    shipped = parser.load(shipped_checklist())
    found = parser.load(file or own) if file or own.is_file() else shipped
    bound = declared.tests_below(root, told.places, told.patterns)
    return comparison.resolved(found, shipped, {item for items in bound.values() for item in items})


@contextmanager
def plainly() -> Iterator[None]:
    """Turn problems in files into one message and exit 4, as a run does."""
    try:
        yield
    except (RecordsError, ChecklistError) as error:
        raise Refused(redact(f"\n{error}")) from None


@contextmanager
def arguments() -> Iterator[None]:
    """Turn problems in arguments into one message and exit 2."""
    try:
        yield
    except RecordsError as error:
        raise click.UsageError(redact("\n".join(problem.text for problem in error.problems))) from None


def find_root(start: Path) -> Path:
    """Return the folder in which pytest would run: the nearest one upwards with suites or a pytest configuration."""
    for folder in (start, *start.parents):
        if (folder / "suites" / "checklist.md").is_file() or _configured(folder):
            return folder
    return start


def _configured(folder: Path) -> bool:
    for name in _CONFIGURATION:
        try:
            text = (folder / name).read_text(errors="replace")
        except OSError:
            continue
        if name == "pytest.ini" or "[tool.pytest" in text or "[pytest]" in text or "[tool:pytest]" in text:
            return True
    return False


def until(text: str, now: datetime) -> datetime:
    """Read when something ends: `90d` from now, `2026-06-01` (the end of that day, UTC) or an instant.

    Raises click.UsageError: it has another form, or is in the past.
    """
    try:
        if _DATE.fullmatch(text):
            end = parse_time(f"{text}T00:00:00Z") + timedelta(days=1, seconds=-1)
        elif text[:5].strip("0123456789") == "-":
            end = parse_time(text)
        else:
            end = now + parse_duration(text)
    except (ValueError, OverflowError) as error:
        raise click.UsageError(f"{error} (or a date such as 2026-06-01, or 90d)") from None
    if end <= now:
        raise click.UsageError(f"{text} is in the past")
    return end


def present() -> datetime:
    """Return the present in UTC, in whole seconds as in records."""
    return datetime.now(UTC).replace(microsecond=0)


def check_change(change: str) -> str:
    """Return the change id if it can be part of a path. Raises click.UsageError."""
    if change and not _CHANGE.fullmatch(change):
        raise click.UsageError(f"--change {change!r}: use letters, digits, dot, dash and underscore")
    return change


def check_inventory(name: str, root: Path) -> str:
    """Return the `name` of an inventory of this repository. Raises click.UsageError with the nearest one."""
    names: dict[str, str] = {}
    for file in sorted((root / "inventories").glob("*.y*ml")):
        found = _NAME.search(file.read_text(errors="replace"))
        names[file.stem] = found[1] if found else file.stem
    if not name or not names or name in names.values():
        return name
    if name in names:  # a run knows an inventory by the `name` in it
        return names[name]
    raise click.UsageError(f"--inventory {name}: no inventory has this name{nearest(name, names.values())}")


def free_file(folder: Path, stem: str) -> Path:
    """Return a path for a new record that does not exist yet."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "", stem)[:120]
    names = [plain, *(f"{plain}-{n}" for n in range(2, 1000))]
    return next(path for name in names if not (path := folder / f"{name}.yml").exists())


def write(path: Path, text: str) -> None:
    """Write a new record, whole or not at all. Raises click.ClickException."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from None
