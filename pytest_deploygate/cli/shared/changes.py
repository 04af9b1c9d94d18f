"""What `decide` and `rollback` share: the change's folder, its inventory, its journal held open."""

from __future__ import annotations

import contextlib
import getpass
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from pytest_deploygate import journal
from pytest_deploygate.checklist.parser import slug
from pytest_deploygate.cli.shared import folders, inventories, outcome
from pytest_deploygate.cli.shared.inventories import Refused
from pytest_deploygate.cli.shared.repository import find_root
from pytest_deploygate.decision.incidents import Ask, Event, What
from pytest_deploygate.inventory.loader import Loaded
from pytest_deploygate.journal import Entry, JournalError, Writer, segments, utcnow
from pytest_deploygate.moments import present
from pytest_deploygate.problems import nearest
from pytest_deploygate.redaction import redact
from pytest_deploygate.rollback import hooks, situation
from pytest_deploygate.rollback.hooks import Hooks
from pytest_deploygate.signoff import decided
from pytest_deploygate.signoff.decided import Decided
from pytest_deploygate.signoff.ssh import SshError


class Command(click.Command):
    """A command whose usage errors are exit 4, as those of a run: 2 would look like pytest's own."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as click does. Raises Refused."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise Refused(f"{error.format_message()} (`{ctx.command_path} --help`)") from None


def role(given: str, entries: Sequence[Entry]) -> str:
    """Return a role as records name it. Raises Refused with the nearest, where checklist and contacts name roles."""
    with plainly():
        begin = segments(entries)[-1].begin
    known = [slug(str(name)) for name in begin["checklist"]["roles"]]
    known += [slug(str(contact["role"])) for contact in begin.get("contacts", ())]
    found = redact(slug(given))
    if known and found not in known:
        raise Refused(f"--role {given}: there is no role {found!r}{nearest(found, dict.fromkeys(known))}")
    return found


def person(given: str) -> str:
    """Return who acts: the name given, else whoever is logged in here."""
    if given.strip():
        return redact(" ".join(given.split()))
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"


def decisions(entries: Sequence[Entry]) -> list[Decided]:
    """Return people's decisions with what became of their signatures."""
    with plainly():
        try:
            return decided.read(entries, find_root(Path.cwd()) / "allowed_signers", utcnow())
        except SshError as error:
            raise click.ClickException(f"signatures of decisions cannot be checked: {error}") from None


def refuse_altered(entries: list[Entry], *, acting: bool = False) -> None:
    """Stop where a decision about the open incident is not what was signed.

    Whoever acts on the newest decision (`acting`) needs one that counts: not by a key that may not, and, where the
    inventory says `signed_decisions`, not without a signature, which whoever can write the journal could take away.
    """
    with plainly():
        incident = situation.now(entries).incident
    events = incident.events if incident and not incident.over else ()
    mine = [one for one in decisions(entries) if one.event in events]
    wrong = [one for one in mine if one.state == "altered"]
    if acting and mine:
        bad = ["untrusted", *(["unsigned"] if must_sign(entries) else [])]
        wrong += [one for one in mine[-1:] if one.state in bad]
    if wrong:
        raise Altered(
            f"nothing is done on this record: {wrong[0].text}; `deploygate verify --all` checks all of it"
        )


def must_sign(entries: list[Entry]) -> bool:
    """Tell whether the inventory wants decisions to be signed."""
    section = inventory_of(entries, None).inventory.rollback
    return section is not None and section.signed_decisions


class Altered(click.ClickException):
    """A signed decision does not verify: exit 25, the evidence is not what was recorded."""

    exit_code = 25


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--change` and `--out`."""
    command = click.option(
        "--out",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Its folder, when not deploygate-out/ID.",
    )(command)
    return click.option("--change", default="local", show_default=True, metavar="ID", help="The change.")(
        command
    )


def folder_of(change: str, out: Path | None) -> Path:
    """Return the change's folder. Raises Refused (exit 4)."""
    return folders.of(change, out, find_root(Path.cwd()))


def read(folder: Path) -> list[Entry]:
    """Read the journal. Raises click.ClickException."""
    with plainly():
        return journal.read(folder)[0]


@contextmanager
def writing(folder: Path) -> Iterator[Writer]:
    """Hold the journal for writing: no run and no other command of this change writes meanwhile.

    What was added is in the report, too, when it is let go: `deploygate verify` finds the two alike.
    """
    with plainly():
        writer = Writer(folder)
        there = len(writer.entries)
        try:
            yield writer
        finally:
            if len(writer.entries) > there:
                with contextlib.suppress(JournalError):  # it says so when it is read the next time
                    outcome.render(writer, folder)
            writer.close()


@contextmanager
def plainly() -> Iterator[None]:
    """Turn what is wrong with a journal into one sentence."""
    try:
        yield
    except JournalError as error:
        raise click.ClickException(str(error)) from None


def act_on_clocks(writer: Writer, folder: Path) -> list[Event]:
    """Write down what deadlines have to say by now, tell the hooks of it, and return it."""

    def look() -> Ask:
        try:
            inventory = inventory_of(writer.entries, None).inventory
        except Refused as refused:
            click.echo(f"the deadline's action is not looked into: {refused.message}", err=True)
            return Ask(conditions_hold=False)
        return situation.look_again(writer, inventory, folder)

    due = situation.write_due(writer, present(), look)
    for event in due:
        kind = "deadline" if event.what is What.DEADLINE else "decided"
        notify(writer, kind, f"{situation.now(writer.entries).change}, {event.incident}: {event.reason}")
    return due


def inventory_of(entries: list[Entry], given: str | None) -> Loaded:
    """Return the inventory of the change's last run, or the one named. Raises Refused (exit 4)."""
    with plainly():
        name = situation.now(entries).inventory
    loaded = inventories.read(given or name)
    if loaded.inventory.name != name:
        raise Refused(
            f"the last run of this change was about {name!r}, and {loaded.file} is {loaded.inventory.name!r}"
        )
    return loaded


class Complaints:
    """Where errors of hooks go: said on standard error, and kept in the journal as soon as it can be written."""

    def __init__(self, writer: Writer | None = None) -> None:
        self._writer = writer
        self._waiting: list[tuple[str, str]] = []

    def __call__(self, where: str, what: str) -> None:
        """Take one."""
        click.echo(f"hook {where}: {what}", err=True)
        self._waiting.append((where, what))
        if self._writer is not None:
            self.keep(self._writer)

    def keep(self, writer: Writer) -> None:
        """Write down those that wait, and from now on each at once."""
        self._writer = writer
        while self._waiting:
            where, what = self._waiting.pop(0)
            writer.append("hook", {"where": where, "what": what, "text": f"{where}: {what}"})

    def keep_in(self, folder: Path) -> None:
        """Write down those that wait; while a run holds the journal they are only said."""
        if self._waiting:
            with contextlib.suppress(click.ClickException), writing(folder) as writer:
                self.keep(writer)
            self._writer = None


def hooks_of_repository(complaints: Complaints | None = None) -> Hooks:
    """Return the hooks of the repository's `conftest.py`; an error in one is said, and kept by `complaints`."""
    return hooks.load(find_root(Path.cwd()), complaints or Complaints())


def notify(place: Writer | Path, event: str, text: str) -> None:
    """Have the hooks pass something on; `place` is where their errors are kept."""
    complaints = Complaints(place if isinstance(place, Writer) else None)
    hooks_of_repository(complaints).ask("pytest_deploygate_notify", event=event, text=text)
    if isinstance(place, Path):
        complaints.keep_in(place)
