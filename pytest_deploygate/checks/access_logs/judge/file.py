"""Judge a log file: who may read it, whose it is, and that it is rotated."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pytest_deploygate.checks.access_logs.facts import File, Log, Stamp
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Reading, words_for, words_for_bytes

if TYPE_CHECKING:
    from pytest_deploygate.checks.access_logs.section import Hop, Rotation

_OTHERS = 0o007
_READ = 0o004


def judge(log: Log, file: File, wanted: Hop, found: Collector) -> None:
    """Add what is wrong with, or unknown of, a file."""
    _mode(log, file, wanted, found)
    _rotation(log, file, wanted.rotation, found)


def _mode(log: Log, file: File, wanted: Hop, found: Collector) -> None:
    """Judge mode and owner. What others may do counts only if they may enter the file's folders."""
    most = int(wanted.mode, 8)
    counted = file.mode if file.in_open_folders else file.mode & ~_OTHERS
    ok = not counted & ~most
    found.read(Reading(f"{log.name}: mode", f"{file.mode:04o}", limit=f"at most {most:04o}", ok=ok))
    if not ok:
        who = "everybody on the host can read it: " if counted & ~most & _READ else ""
        found.wrong(
            f"{who}its mode is {file.mode:04o}, at most {most:04o} is allowed; change it, and what creates it (logrotate's "
            "`create`)",
            where=log.name,
        )
    if file.mode & _OTHERS & ~most and not file.in_open_folders:
        found.note(f"its mode is {file.mode:04o}, but others cannot enter its folder", where=log.name)
    if wanted.owner is not None:
        ok = file.owner == wanted.owner
        found.read(Reading(f"{log.name}: owner", file.owner, limit=wanted.owner, ok=ok))
        if not ok:
            found.wrong(f"belongs to {file.owner}, not to {wanted.owner}", where=log.name)


def _rotation(log: Log, file: File, wanted: Rotation, found: Collector) -> None:
    size_ok = file.size <= wanted.max_size
    limit = f"at most {words_for_bytes(wanted.max_size)}"
    found.read(Reading(f"{log.name}: size", words_for_bytes(file.size), limit=limit, ok=size_ok))
    if not size_ok:
        found.wrong(
            f"is not rotated: it has {words_for_bytes(file.size)}, {limit} is allowed", where=log.name
        )
    age = _age(file.now, file.first)
    old = age is not None and age > wanted.max_age
    if age is not None:
        limit = f"at most {words_for(wanted.max_age)}"
        found.read(Reading(f"{log.name}: age of its first line", words_for(age), limit=limit, ok=not old))
    if old and age is not None:
        found.wrong(
            f"is not rotated: its first line is {words_for(age)} old, {limit} is allowed", where=log.name
        )
    elif size_ok:
        _rotates(log, file, wanted, found)


def _age(now: datetime, first: Stamp | None) -> timedelta | None:
    """Return the age of the first line; None if it is unknown. Its zone does not matter for days."""
    if first is None:
        return None
    at = first.at if first.zoned else first.at.replace(tzinfo=now.tzinfo)
    return max(timedelta(0), now - at)


def _rotates(log: Log, file: File, wanted: Rotation, found: Collector) -> None:
    """Judge that something rotates it: logrotate has a rule, or it was rotated of late."""
    rule = file.rule
    if rule is not None and rule.has:
        return
    if file.rotated is not None and file.now - file.rotated <= wanted.max_age:
        return
    last = f", and was last rotated {words_for(file.now - file.rotated)} ago" if file.rotated else ""
    if rule is not None and not rule.problem:
        found.wrong(
            f"nothing rotates it: logrotate has no rule for it in {wanted.logrotate}{last or ', and no rotated file is beside it'}",
            where=log.name,
        )
    else:
        found.unknown(
            f"whether it is rotated is unknown: {rule.problem if rule else 'logrotate was not asked'}"
            f"{last or ', and no rotated file is beside it'}",
            where=log.name,
        )
