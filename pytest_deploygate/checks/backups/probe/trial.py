"""A small backup, taken now: the whole path from the server to the repository works."""

from __future__ import annotations

import contextlib
import time

from pytest_deploygate.checks.backups.facts import Trial
from pytest_deploygate.checks.backups.probe.seen import Backups
from pytest_deploygate.clients import budget as budgets
from pytest_deploygate.clients import own_lag
from pytest_deploygate.clients.budget import Budget
from pytest_deploygate.clients.postgres import beside
from pytest_deploygate.model import CannotTell

#: Another backup may be running; a small one waits for it this long.
_PATIENCE_S = 45.0
_ITEM, _UNWATCHED = "phase1.backup", "the inventory names no database that could be asked"
_BUSY = ("unable to acquire lock", "another backup", "already running")


def take_backup(backups: Backups, budget: Budget | None = None) -> Trial:
    """Take a small backup and look for it, on `budget`. Raises CannotTell if no command is known or another backup is running."""
    command = backups.criteria.take or backups.tool.take_command()
    if not command:
        raise CannotTell(
            f"how {backups.tool.name} takes a small backup is unknown; name the command: `backup: {{take: …}}`"
        )
    drawn = budget or budgets.unrecorded(_ITEM)
    with (
        beside.asking(backups.cluster) if backups.cluster else contextlib.nullcontext() as answers,
        drawn.probe("small backup", control=answers, connects=False, unwatched=_UNWATCHED) as spending,
    ):
        spending.take(opens=0)
        return _taken(backups, command)


def _taken(backups: Backups, command: str) -> Trial:
    before = {each.label for each in backups.listed()}
    bound_s = backups.criteria.take_patience_s + 60
    began = time.monotonic()
    while True:
        started = time.monotonic()
        with own_lag.watching() as sampled:
            done = backups.tool.place.run(command, timeout_s=bound_s)
            lag = sampled.since(started)
        if not (done.code and any(words in done.said for words in _BUSY)):
            break
        if time.monotonic() - began > _PATIENCE_S:
            raise CannotTell(
                f"another backup has been running for {_PATIENCE_S:.0f} s: run this again when it has ended"
            )
        time.sleep(1.0)
    took = time.monotonic() - started
    if done.timed_out:
        return Trial(command, took, f"it did not end within {bound_s:.0f} s")
    if done.code:
        return Trial(command, took, done.said)
    if backups.criteria.take:  # what the inventory's own command creates is not checked
        return Trial(command, took, "", listed=False, lag=lag)
    backups.forget()
    new = [each.label for each in backups.listed() if each.label not in before]
    problem = "" if new else "it ended without an error, but no new backup is in the repository"
    return Trial(command, took, problem, new[-1] if new else "", lag=lag)
