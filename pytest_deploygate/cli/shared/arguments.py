"""Arguments that people type: ends, changes, names of inventories. What is wrong with them is exit 2."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import click

from pytest_deploygate.checklist.records import RecordsError, parse_time
from pytest_deploygate.files import bounded
from pytest_deploygate.model import parse_duration
from pytest_deploygate.problems import nearest
from pytest_deploygate.redaction import redact

_CHANGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_NAME = re.compile(r"^name:\s*[\"']?([^\"'#\s]+)", re.MULTILINE)


@contextmanager
def plainly() -> Iterator[None]:
    """Turn problems in arguments into one message and exit 2."""
    try:
        yield
    except RecordsError as error:
        raise click.UsageError(redact("\n".join(problem.text for problem in error.problems))) from None


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


def since(text: str, now: datetime) -> datetime:
    """Read when something begins: `90d` before now, `2026-06-01` (the begin of that day, UTC) or an instant.

    Raises click.UsageError: it has another form, or is in the future.
    """
    try:
        if _DATE.fullmatch(text):
            begin = parse_time(f"{text}T00:00:00Z")
        elif text[:5].strip("0123456789") == "-":
            begin = parse_time(text)
        else:
            begin = now - parse_duration(text)
    except (ValueError, OverflowError) as error:
        raise click.UsageError(f"{error} (or a date such as 2026-06-01, or 90d)") from None
    if begin > now:
        raise click.UsageError(f"{text} is in the future")
    return begin


def check_change(change: str) -> str:
    """Return the change id if it can be part of a path. Raises click.UsageError."""
    if change and not _CHANGE.fullmatch(change):
        raise click.UsageError(f"--change {change!r}: use letters, digits, dot, dash and underscore")
    return change


def check_inventory(name: str, root: Path) -> str:
    """Return the `name` of an inventory of this repository. Raises click.UsageError with the nearest one."""
    names: dict[str, str] = {}
    for file in sorted((root / "inventories").glob("*.y*ml")):
        try:
            found = _NAME.search(bounded.read(file).decode(errors="replace"))
        except OSError:  # reading the inventory says what is wrong with it
            found = None
        names[file.stem] = found[1] if found else file.stem
    if not name or not names or name in names.values():
        return name
    if name in names:  # a run knows an inventory by the `name` in it
        return names[name]
    raise click.UsageError(f"--inventory {name}: no inventory has this name{nearest(name, names.values())}")
