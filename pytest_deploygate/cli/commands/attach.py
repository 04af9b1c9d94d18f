"""Attach the report and its evidence to a change ticket."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import click

from pytest_deploygate.cli.shared import changes, interrupted, inventories, journals, options
from pytest_deploygate.cli.shared.refusals import Command, Refused
from pytest_deploygate.clients.tickets import attaching, log, opening
from pytest_deploygate.clients.tickets.asking import BrokenError, LaterError, MistakeError
from pytest_deploygate.clients.tickets.attaching import Bringing, Brought
from pytest_deploygate.clients.tickets.ticket import File, Limits, Ticket
from pytest_deploygate.fields.tickets import Tracker
from pytest_deploygate.files import holds
from pytest_deploygate.report import from_journal, package, ticket_comment
from pytest_deploygate.report.leaving import leaving
from pytest_deploygate.report.package import PackageError
from pytest_deploygate.report.record import Record
from pytest_deploygate.report.results import REPORT, render


class _NotWhole(click.ClickException):
    """Not all of it is in the ticket; the same command again goes on."""

    exit_code = 1


@click.command(cls=Command)
@click.option(
    "--ticket",
    default="",
    metavar="SYSTEM:KEY",
    help="The ticket, e.g. jira:OPS-42. Default: the first system of `tickets`, and the change's id as the key.",
)
@options.change
@options.out
@options.inventory_of_last_run
@click.option("--dry-run", is_flag=True, help="Say what would be sent; only read the ticket.")
@options.as_json
def attach(
    ticket: str, change: str, out: Path | None, inventory: str | None, dry_run: bool, as_json: bool
) -> None:
    """Attach the report and an archive of journal, results, evidence and signatures, and comment with the journal's head.

    The ticket is looked at first, and what it has is not sent again: the names of the files have their digests. A command
    that broke off, or was killed, is mended by the next one. Systems and logins are in `tickets` of the inventory.

    \b
    deploygate attach --change CHG0030001 --ticket servicenow:CHG0030001
    deploygate attach --change CHG0030001                       # the first system of `tickets`
    deploygate attach --change CHG0030001 --ticket github:42 --dry-run

    Exit codes: 0 everything is in the ticket; 1 not all of it, and the same command again goes on; 4 something must be
    set right first; 25 the record cannot be read, or the report is not that of the journal.
    """
    folder = journals.folder_of(change, out)
    interrupted.finish(folder)
    entries = journals.read(folder)
    loaded = changes.inventory_of(entries, inventory) if inventory is None else inventories.read(inventory)
    with journals.plainly():
        record = from_journal.build(entries)
    trackers = loaded.inventory.tickets
    try:
        tracker, key = (
            opening.named(trackers, ticket) if ticket else opening.of_change(trackers, record.change)
        )
        _fresh(folder, record)
        with tempfile.TemporaryDirectory(prefix="deploygate-attach-") as place:
            _attach(folder, record, tracker, key, Path(place), dry_run=dry_run, as_json=as_json)
    except (BrokenError, LaterError) as error:
        raise _NotWhole(leaving(str(error))) from None
    except (MistakeError, PackageError) as error:
        raise Refused(leaving(str(error))) from None
    except OSError as error:
        raise _NotWhole(f"{error.filename or folder}: {error.strerror}; nothing more was sent") from None


def _fresh(folder: Path, record: Record) -> None:
    """Refuse a report that is not what the journal says: the ticket would get the one and be told the other."""
    if record.decision is None:
        raise MistakeError(
            "the last run has no decision: it was interrupted. Run it again with --resume, then attach"
        )
    if not holds(folder / REPORT, render(record)[REPORT]):
        raise journals.Damaged(
            f"{folder / REPORT} is not what the journal says: `deploygate report` writes it again; if it was signed, "
            "look with `deploygate verify` first"
        )


def _attach(
    folder: Path, record: Record, tracker: Tracker, key: str, place: Path, *, dry_run: bool, as_json: bool
) -> None:
    found = opening.opened(tracker, key)
    limits = found.limits()
    largest = min(limits.largest, tracker.largest) if tracker.largest else limits.largest
    if limits.refused:
        raise MistakeError(f"{tracker.called}:{key}: {limits.refused}")
    files = package.make(folder, record.change, place, largest)
    if why := attaching.too_large(files, limits):
        raise MistakeError(f"{tracker.called}:{key}: {why}")
    head = record.provenance.journal_head
    if dry_run:
        _say_plan(found, files, limits, head, as_json=as_json)
        return
    with log.opened(folder, f"{tracker.called}:{key}") as kept:
        brought = Bringing(found, kept).bring(
            files,
            head,
            ticket_comment.mark(head),
            lambda links: (
                ticket_comment.plain(record, files),
                ticket_comment.markdown(record, files, links),
            ),
        )
    _say(f"{tracker.called}:{key}", files, brought, head, as_json=as_json)


def _say_plan(ticket: Ticket, files: list[File], limits: Limits, head: str, *, as_json: bool) -> None:
    there = {one.name for one in ticket.attached()}
    commented = ticket.has_comment(ticket_comment.mark(head))
    name = f"{ticket.tracker.called}:{ticket.key}"
    if as_json:
        told = {
            "ticket": name,
            "would_send": [file.name for file in files if file.name not in there],
            "there": [file.name for file in files if file.name in there],
            "would_comment": not commented,
            "journal_head": head,
            "largest_bytes": limits.largest,
        }
        click.echo(json.dumps(told, indent=1))
        return
    click.echo(
        f"{name}: nothing was sent (--dry-run); the largest file has {limits.largest:,} bytes ({limits.known_by})"
    )
    for file in files:
        click.echo(
            f"  {'is there  ' if file.name in there else 'would send'}  {file.name}  {file.size:,} bytes"
        )
    click.echo(f"  {'is there  ' if commented else 'would add '}  comment with the journal's head {head}")


def _say(name: str, files: list[File], brought: Brought, head: str, *, as_json: bool) -> None:
    if as_json:
        told = {
            "ticket": name,
            "sent": list(brought.sent),
            "there": list(brought.there),
            "commented": brought.commented,
            "journal_head": head,
            "notes": list(brought.notes),
        }
        click.echo(json.dumps(told, indent=1))
        return
    nothing = not brought.sent and not brought.commented
    click.echo(f"{name}: {'everything was there already' if nothing else 'attached'}")
    for file in files:
        state = "sent    " if file.name in brought.sent else "is there"
        click.echo(f"  {state}  {file.name}  {file.size:,} bytes, {file.what}")
    click.echo(f"  {'sent    ' if brought.commented else 'is there'}  comment with the journal's head {head}")
    for note in brought.notes:
        click.echo(f"  note: {leaving(note)}")
