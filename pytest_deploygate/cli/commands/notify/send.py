"""Send a notice, each recipient once, and try again what is still waiting."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from pathlib import Path

import click

from pytest_deploygate.cli.shared import changes, noticing, options
from pytest_deploygate.cli.shared.noticing import Work
from pytest_deploygate.cli.shared.refusals import Command, Refused
from pytest_deploygate.cli.show import notices as show
from pytest_deploygate.journal import utcnow
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import parse_duration
from pytest_deploygate.notices import calendar, preparing, queue, record, sending
from pytest_deploygate.notices.calendar import Diary
from pytest_deploygate.notices.preparing import Standing
from pytest_deploygate.notices.record import Known, Log, State
from pytest_deploygate.problems import nearest

#: Greylisting servers take a mail after a few minutes: waits grow to this.
_LONGEST_WAIT_S = 300.0


@dataclass(frozen=True)
class _Asked:
    """What the command line asks for."""

    notice: str | None
    to: tuple[str, ...]
    reason: str
    again: bool
    sent: tuple[str, ...]
    not_sent: tuple[str, ...]
    wait_s: float
    every_s: float
    as_json: bool


@click.command(cls=Command)
@click.argument("notice", required=False, metavar="[NOTICE]")
@options.inventory
@options.change
@options.out
@click.option("--to", multiple=True, metavar="AUDIENCE", help="Who gets it; may be given several times.")
@click.option("--set", "given", multiple=True, metavar="NAME=TEXT", help="A further value of the template.")
@click.option("--dry-run", is_flag=True, help="Say who would get what, and send nothing.")
@click.option("--again", is_flag=True, help="Send it once more to those who got it already; needs --reason.")
@click.option("--reason", default="", metavar="TEXT", help="Why it is sent again.")
@click.option("--sent", multiple=True, metavar="ID", help="This uncertain one arrived.")
@click.option(
    "--not-sent", multiple=True, metavar="ID", help="This uncertain one did not arrive: send it again."
)
@click.option("--wait", metavar="DURATION", help="Keep trying for so long, e.g. 30m.")
@click.option(
    "--every", default="30s", show_default=True, metavar="DURATION", help="First wait between two tries."
)
@options.as_json
def send(
    *,
    notice: str | None,
    inventory: str,
    change: str,
    out: Path | None,
    to: tuple[str, ...],
    given: tuple[str, ...],
    dry_run: bool,
    again: bool,
    reason: str,
    sent: tuple[str, ...],
    not_sent: tuple[str, ...],
    wait: str | None,
    every: str,
    as_json: bool,
) -> None:
    """Send NOTICE to audiences, once to each recipient. Without NOTICE: try again what is still waiting.

    Each server's answer is recorded in the change's folder. What is refused for now, or cannot be sent, waits for the next
    `notify send`. If nobody knows whether a message arrived, it is asked about and not sent again.

    Exit codes: 0 everything was accepted; 1 a recipient was refused; 21 something waits or is uncertain; 4 a mistake, and
    nothing was sent; 25 the record cannot be read or written.

    \b
    deploygate notify send pre-deployment --to customers --inventory prod --change CHG-1234 --dry-run
    deploygate notify send status --to stakeholders --set 'summary=All is well.' --inventory prod --change CHG-1234
    deploygate notify send --inventory prod --change CHG-1234 --wait 30m
    deploygate notify send --not-sent 3f9a61c2 --inventory prod --change CHG-1234
    """
    if notice and not to:
        raise Refused("name the audiences: --to AUDIENCE")
    if to and not notice:
        raise Refused("--to goes with the name of a notice")
    if again and not reason.strip():
        raise Refused("--again needs --reason TEXT: why do they get it once more?")
    asked = _Asked(
        notice,
        to,
        reason,
        again,
        sent,
        not_sent,
        _seconds("--wait", wait),
        _seconds("--every", every),
        as_json,
    )
    work = noticing.work(inventory, change, out, given)
    with noticing.plainly():
        if dry_run:
            known = record.read(work.folder)
            stands = _stands(work, asked, known, work.diary()[0])
            click.echo(show.planned(stands, _others(known, stands), as_json=as_json), nl=False)
            return
        noticing.refuse_in_tests()
        code = _send(work, asked)
    raise SystemExit(code)


def _seconds(option: str, text: str | None) -> float:
    if text is None:
        return 0.0
    try:
        found: timedelta = parse_duration(text)
    except ValueError as error:
        raise Refused(f"{option} {text}: {error}") from None
    return found.total_seconds()


def _stands(work: Work, asked: _Asked, known: dict[str, Known], diary: Diary | None) -> list[Standing]:
    """Return the messages of the notice, each with what is known of it. Raises what `preparing.all_of` does."""
    if asked.notice is None:
        return []
    ready = preparing.all_of(work.said, asked.notice, work.audiences(asked.to), work.contacts, diary)
    return preparing.standing(ready, known, work.said.change, again=asked.again)


def _others(known: dict[str, Known], stands: list[Standing]) -> list[Known]:
    mine = {one.id for one in stands}
    open_ones = (State.WAITING, State.UNCERTAIN)
    return [one for one in known.values() if one.state in open_ones and one.notice.id not in mine]


def _send(work: Work, asked: _Asked) -> int:
    """Queue, answer, send and wait; return the exit code."""
    before = record.read(work.folder)
    diary, numbers = work.diary()
    stands = _stands(work, asked, before, diary)  # first: nothing is recorded of what cannot be rendered
    log = Log(work.folder)
    try:
        calendar.keep(work.folder, numbers)
        _answers(log, asked)
        _queue(work, asked, stands, log)
        _ask(log, asked)
        sending.tidy(log, work.folder)
        _all_of_them(work, asked, log)
        known = log.known
    finally:
        log.close()
    mine = [known[one.id] for one in stands] + _others(known, stands)
    click.echo(show.ended(mine, as_json=asked.as_json), nl=False)
    if any(one.state is State.REFUSED for one in mine):
        return 1
    return 21 if any(one.state in (State.WAITING, State.UNCERTAIN) for one in mine) else 0


def _answers(log: Log, asked: _Asked) -> None:
    """Record what `--sent` and `--not-sent` say. Raises Refused for an id that is not uncertain."""
    known = log.known
    by = changes.person("")
    for ids, sent in ((asked.sent, True), (asked.not_sent, False)):
        for given in ids:
            found = [one for message, one in known.items() if message.startswith(given)]
            uncertain = [one.notice.id for one in known.values() if one.state is State.UNCERTAIN]
            if len(found) != 1 or found[0].state is not State.UNCERTAIN:
                why = (
                    f"is {found[0].state.value}, not uncertain"
                    if len(found) == 1
                    else "is not the id of one message"
                )
                raise Refused(
                    f"{given} {why}{nearest(given, uncertain) if uncertain else '; nothing is uncertain'}"
                )
            log.answer(found[0].notice.id, sent=sent, by=by)


def _queue(work: Work, asked: _Asked, stands: list[Standing], log: Log) -> None:
    """Write messages that are new to the queue, then to the record."""
    now = utcnow()
    for one in stands:
        known = log.known.get(one.id)
        if known is None:
            queue.put(work.folder, preparing.queued(one, work.said, now))
            log.queue(preparing.notice(one, work.said, asked.reason))
        elif known.state is State.WAITING and one.id not in queue.there(work.folder):
            queue.put(work.folder, preparing.queued(one, work.said, now))


def _ask(log: Log, asked: _Asked) -> None:
    """Ask about what is uncertain, where somebody sits at a terminal."""
    if asked.as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return
    for one in [known for known in log.known.values() if known.state is State.UNCERTAIN]:
        click.echo(f"{show.name(one)}: {one.said}")
        said = click.prompt(
            "Did it arrive?",
            type=click.Choice(["sent", "not-sent", "unknown"]),
            default="unknown",
            show_choices=True,
        )
        if said != "unknown":
            log.answer(one.notice.id, sent=said == "sent", by=changes.person(""))


def _all_of_them(work: Work, asked: _Asked, log: Log) -> None:
    """Try all that waits, and again until the time is over."""
    until = time.monotonic() + asked.wait_s
    pause_s = asked.every_s
    while waiting := sending.due(log):
        sending.send(
            work.section,
            log,
            work.folder,
            waiting,
            lambda one: None if asked.as_json else click.echo(show.line(one)),
        )
        left_s = until - time.monotonic()
        if left_s <= 0 or not sending.due(log):
            return
        time.sleep(min(pause_s, left_s))
        pause_s = min(pause_s * 2, _LONGEST_WAIT_S)
