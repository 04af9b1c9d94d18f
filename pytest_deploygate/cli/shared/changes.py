"""A change as `decide` and `rollback` work on it: its folder, its inventory, its journal held open, its hooks."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click

from pytest_deploygate import git
from pytest_deploygate.checklist import committed
from pytest_deploygate.checklist.parser import slug
from pytest_deploygate.checks.way_back import section as way_back
from pytest_deploygate.cli.shared import inventories, journals, outcome
from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.cli.shared.root import find_root
from pytest_deploygate.decision.incidents import Ask, Event, What
from pytest_deploygate.inventory.loader import Loaded
from pytest_deploygate.journal import Entry, JournalError, Writer, readable, segments, utcnow
from pytest_deploygate.moments import present
from pytest_deploygate.problems import nearest
from pytest_deploygate.redaction import redact, weak
from pytest_deploygate.rollback import finishing, hooks, situation
from pytest_deploygate.rollback.hooks import Hooks
from pytest_deploygate.signoff import decided
from pytest_deploygate.signoff.decided import Decided
from pytest_deploygate.signoff.ssh import SshError


def role(given: str, entries: Sequence[Entry]) -> str:
    """Return a role as records name it. Raises Refused with the nearest role of the checklist and the contacts."""
    with journals.plainly(), readable():
        runs = segments(entries)
        if not runs:
            raise JournalError("the journal contains no run yet: run the gate first")
        begin = runs[-1].begin
        known = [slug(str(name)) for name in begin["checklist"]["roles"]]
        known += [slug(str(contact["role"])) for contact in begin.get("contacts", ())]
    found = redact(slug(given))
    if known and found not in known:
        raise Refused(f"--role {given}: there is no role {found!r}{nearest(found, dict.fromkeys(known))}")
    return found


def person(given: str) -> str:
    """Return who acts: the name given, else the user who is logged in here."""
    if given.strip():
        return redact(" ".join(given.split()))
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"


def decisions(entries: Sequence[Entry]) -> list[Decided]:
    """Return people's decisions, each with the state of its signature."""
    root = find_root(Path.cwd())
    # An allowed-signers file that nobody committed lists nobody: whoever is here may have written it.
    aside = committed.uncommitted(root, git.work_tree(root), [committed.SIGNERS]).get(committed.SIGNERS)
    with journals.plainly():
        try:
            found = decided.read(entries, None if aside else root / committed.SIGNERS, utcnow())
        except SshError as error:
            raise Refused(f"signatures of decisions cannot be checked: {error}") from None
    return [
        replace(one, why=f"{one.why} that counts ({aside})") if aside and one.state == "untrusted" else one
        for one in found
    ]


def refuse_altered(entries: list[Entry], *, acting: bool = False) -> None:
    """Refuse to act if a decision about the open incident is not what was signed.

    To act on the newest decision (`acting`), it must count: its key must be allowed, and if the inventory says
    `signed_decisions` it must be signed, since whoever can write the journal could remove a signature.
    """
    with journals.plainly():
        incident = situation.now(entries).incident
    events = incident.events if incident and not incident.over else ()
    mine = [one for one in decisions(entries) if one.event in events]
    wrong = [one for one in mine if one.state == "altered"]
    if acting and mine:
        bad = ["untrusted", *(["unsigned"] if must_sign(entries) else [])]
        wrong += [one for one in mine[-1:] if one.state in bad]
    if wrong:
        raise Altered(
            f"nothing was done, because the record cannot be trusted: {wrong[0].text}; `deploygate verify --all` checks all of it"
        )


def must_sign(entries: list[Entry]) -> bool:
    """Return whether the inventory requires signed decisions."""
    section = inventory_of(entries, None).inventory.of(way_back.Keys).rollback
    return section is not None and section.signed_decisions


class Altered(click.ClickException):
    """A signed decision does not verify: exit 25, the evidence is not as recorded."""

    exit_code = 25


@contextmanager
def writing(folder: Path, *, finishing_first: bool = True) -> Iterator[Writer]:
    """Hold the journal for writing, so that no run and no other command of this change writes to it.

    What was added is in the report, too, when the journal is released: `deploygate verify` compares the two. With
    `finishing_first` a rollback that was killed after its last step gets its outcome before anything else. Raises
    Damaged if the journal is not as it was written (see `journals.held`).
    """
    with journals.held(folder) as writer:
        there = len(writer.entries)
        try:
            if finishing_first:
                _finish(writer)
            yield writer
        finally:
            if len(writer.entries) > there:
                with contextlib.suppress(JournalError):  # the next command that reads it reports the error
                    outcome.render(writer, folder)


def _finish(writer: Writer) -> None:
    """Record the outcome of a rollback whose command was killed before it did, and say so."""
    if found := journals.half_done(writer.entries):
        finishing.finish(writer, hooks_of_repository(Complaints(writer)))
        ended = "rolled back and verified" if found.verified else "the rollback failed"
        click.echo(
            f"{found.name} was interrupted after its last step; its outcome is recorded now: {ended} ({found.why})",
            err=True,
        )


def act_on_clocks(writer: Writer, folder: Path) -> list[Event]:
    """Record what deadlines have decided by now, notify the hooks, and return the events."""

    def look() -> Ask:
        try:
            inventory = inventory_of(writer.entries, None).inventory
        except Refused as refused:
            click.echo(
                f"the conditions for the deadline's action were not checked: {refused.message}", err=True
            )
            return Ask(conditions_hold=False)
        return situation.look_again(writer, inventory, folder)

    due = situation.write_due(writer, present(), look)
    for event in due:
        kind = "deadline" if event.what is What.DEADLINE else "decided"
        notify(writer, kind, f"{situation.now(writer.entries).change}, {event.incident}: {event.reason}")
    return due


def inventory_of(entries: list[Entry], given: str | None) -> Loaded:
    """Return the inventory of the change's last run, or the one given. Raises Refused (exit 4)."""
    with journals.plainly():
        name = situation.now(entries).inventory
    loaded = inventories.read(given or name)
    if loaded.inventory.name != name:
        raise Refused(
            f"the last run of this change used the inventory {name!r}, and {loaded.file} is {loaded.inventory.name!r}"
        )
    weak([json.dumps(segments(entries)[-1].begin, ensure_ascii=False, default=str)])
    return loaded


class Complaints:
    """Errors of hooks: printed to standard error, and recorded in the journal as soon as it can be written."""

    def __init__(self, writer: Writer | None = None) -> None:
        self._writer = writer
        self._waiting: list[tuple[str, str]] = []

    def __call__(self, where: str, what: str) -> None:
        """Print an error and record it, now or later."""
        click.echo(f"hook {where}: {what}", err=True)
        self._waiting.append((where, what))
        if self._writer is not None:
            self.keep(self._writer)

    def keep(self, writer: Writer) -> None:
        """Record the waiting errors, and from now on each at once."""
        self._writer = writer
        while self._waiting:
            where, what = self._waiting.pop(0)
            writer.append("hook", {"where": where, "what": what, "text": f"{where}: {what}"})

    def keep_in(self, folder: Path) -> None:
        """Record the waiting errors; while a run holds the journal they are only printed."""
        if self._waiting:
            with contextlib.suppress(Refused), writing(folder) as writer:
                self.keep(writer)
            self._writer = None


def hooks_of_repository(complaints: Complaints | None = None) -> Hooks:
    """Return the hooks of the repository's `conftest.py`; `complaints` takes their errors."""
    return hooks.load(find_root(Path.cwd()), complaints or Complaints())


def notify(place: Writer | Path, event: str, text: str) -> None:
    """Notify the hooks of an event; `place` is where their errors are recorded."""
    complaints = Complaints(place if isinstance(place, Writer) else None)
    hooks_of_repository(complaints).ask("pytest_deploygate_notify", event=event, text=text)
    if isinstance(place, Path):
        complaints.keep_in(place)
