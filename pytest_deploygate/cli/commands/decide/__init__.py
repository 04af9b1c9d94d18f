"""Show the incident of a change, or decide about it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from pytest_deploygate.cli.commands.decide import assess, waiting
from pytest_deploygate.cli.shared import changes, journals, options
from pytest_deploygate.cli.shared.refusals import Command, Refused
from pytest_deploygate.cli.shared.root import find_root
from pytest_deploygate.cli.show.incident import clock, line
from pytest_deploygate.decision import incident_log
from pytest_deploygate.decision.incidents import Event, Incident, State, What
from pytest_deploygate.decision.rules import CONDITIONS
from pytest_deploygate.journal import Entry
from pytest_deploygate.model import option_of, parse_duration
from pytest_deploygate.moments import present
from pytest_deploygate.problems import nearest
from pytest_deploygate.redaction import redact
from pytest_deploygate.rollback import going_back, situation
from pytest_deploygate.rollback.situation import Now
from pytest_deploygate.signoff import decided
from pytest_deploygate.signoff.decided import Decided
from pytest_deploygate.signoff.ssh import SshError
from pytest_deploygate.visible import says

#: A single word is not a reason.
_LEAST_WORDS = 2
_LEAST_PAUSE_S = 10.0
#: States in which a person is asked.
_ASKED = (State.ASSESSING, State.HELD, State.FIXING, State.RERUNNING)
#: Exit codes of `decide`, as a run's: GO, held, rollback.
_EXIT = {"go": 0, "hold": 21, "rollback": 22}


@click.command(cls=Command)
@click.argument("what", required=False, metavar="[go|hold|rollback]")
@options.change
@options.out
@click.option("--role", metavar="ROLE", help="The role that decides, e.g. deployment-lead.")
@click.option(
    "--name", default="", metavar="NAME", help="The person who decides. Default: the user logged in here."
)
@click.option("--reason", default="", metavar="TEXT", help="Why; it is kept in the record.")
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    metavar="KEY",
    help="Sign the decision with this SSH key, or with its public key if an agent holds the private one.",
)
@click.option("--wait", is_flag=True, help="Watch the clock; when it runs out, do what the policy says.")
@click.option(
    "--measure",
    metavar="DURATION",
    help="With --wait: measure the red items again at this interval, e.g. 1m.",
)
@click.option(
    "--quick-fix", "fix", is_flag=True, help="Apply a quick fix of the inventory, then measure again."
)
@click.option(
    "--fix-name", metavar="NAME", help="The quick fix to apply. Default: the first for the red items."
)
@click.option(
    "--rerun", is_flag=True, help="Measure the red items, what depends on them, and the invariants again."
)
@options.as_json
def decide(
    what: str | None,
    *,
    change: str,
    out: Path | None,
    role: str | None,
    name: str,
    reason: str,
    key: Path | None,
    wait: bool,
    measure: str | None,
    fix: bool,
    fix_name: str | None,
    rerun: bool,
    as_json: bool,
) -> None:
    """Show the incident of a change and its clock, decide GO, HOLD or ROLLBACK, or wait for the deadline.

    An incident opens when a critical or major item fails in a phase in which users are on the new system. There are
    15 minutes to decide (`rollback.decide_within`); the clock survives crashes, and a re-run never resets it. When it
    runs out, the policy's action is recorded as `by: deadline`, by `--wait` if that is running, else by the next
    command, which also records the delay. Exit 0: GO, or shown. 21: held. 22: rollback decided. 25: a signed decision
    was altered.

    A decision signed with `--key` is checked against `allowed_signers` of the repository, whose lines need
    `namespaces="deploygate-signoff,deploygate-decision"`.

    \b
    deploygate decide --change CHG-1234
    deploygate decide hold --change CHG-1234 --role deployment-lead --reason "cache was cold, measuring again"
    deploygate decide rollback --change CHG-1234 --role deployment-lead --reason "logins fail" --key ~/.ssh/id_ed25519
    deploygate decide --wait --measure 1m --change CHG-1234
    deploygate decide --quick-fix --change CHG-1234
    """
    what = what.lower() if what else None
    if what is not None and what not in _EXIT:
        raise Refused(f"there is no decision {what!r}{nearest(what, _EXIT)}")
    folder = journals.folder_of(change, out)
    _only_one(what, wait=wait, fix=fix or fix_name is not None, rerun=rerun)
    if what is None and (role or reason or name or key):
        raise Refused("--role, --name, --reason and --key belong to a decision: go, hold or rollback")
    if measure is not None and not wait:
        raise Refused("--measure belongs to --wait")
    if fix or fix_name:
        raise SystemExit(assess.quick_fix(folder, change, fix_name))
    if rerun:
        raise SystemExit(assess.rerun(folder, change))
    if what is not None:
        _decide(folder, what, role, name, reason, key, as_json=as_json)
    elif wait:
        waiting.wait(folder, change, _every_s(measure))
        _show(journals.read(folder), [], as_json=as_json)
    else:
        with changes.writing(folder) as writer:
            late = changes.act_on_clocks(writer, folder)
            entries = writer.entries
        _show(entries, late, as_json=as_json)


def _only_one(what: str | None, *, wait: bool, fix: bool, rerun: bool) -> None:
    given = [what or "", "--wait" if wait else "", "--quick-fix" if fix else "", "--rerun" if rerun else ""]
    asked = [word for word in given if word]
    if len(asked) > 1:
        raise Refused(f"{' and '.join(asked)} are mutually exclusive")


def _every_s(text: str | None) -> float | None:
    try:
        seconds = parse_duration(text).total_seconds() if text else None
    except ValueError as error:
        raise Refused(f"--measure: {error}") from None
    if seconds is not None and seconds < _LEAST_PAUSE_S:
        raise Refused(
            f"--measure {text}: use at least {_LEAST_PAUSE_S:g} s, because measuring itself takes time"
        )
    return seconds


def _decide(
    folder: Path, what: str, role: str | None, name: str, reason: str, key: Path | None, *, as_json: bool
) -> None:
    if not role:
        raise Refused("say who decides: --role deployment-lead")
    if len(list(filter(says, reason.split()))) < _LEAST_WORDS:
        raise Refused('say why: --reason "logins fail for everybody" (it is kept in the record)')
    with changes.writing(folder) as writer:
        by = changes.role(role, writer.entries)
        if key is None and changes.must_sign(writer.entries):
            raise Refused(
                "decisions must be signed here (rollback.signed_decisions): add --key ~/.ssh/id_ed25519"
            )
        changes.refuse_altered(writer.entries)
        changes.act_on_clocks(writer, folder)
        found = situation.now(writer.entries)
        incident = _open(found, what, writer.entries)
        event = Event(
            incident.id, What.DECIDED, present(), by, what.upper(), redact(" ".join(reason.split())),
            changes.person(name),
        )  # fmt: skip
        if key is not None:
            writer.note_signatures()  # the signature covers the line before it, so that one comes first
            event = replace(event, signature=_signed(event, found, writer.head, key.expanduser()))
        writer.append(incident_log.KIND, incident_log.to_json(event))
        entries = writer.entries
    changes.notify(folder, "decided", f"{found.change}: {what.upper()} by {event.by}: {event.reason}")
    _show(entries, [], as_json=as_json)
    raise SystemExit(_EXIT[what])


def _open(found: Now, what: str, entries: Sequence[Entry]) -> Incident:
    """Return the incident that can be decided about now. Raises Refused with the reason if there is none."""
    incident = found.incident
    if incident is None or incident.over:
        raise Refused(f"there is no open incident in the change {found.change!r}: nothing to decide")
    if incident.state is State.AFTER:
        raise Refused(
            f"{incident.id} is rolled back, and only the follow-up is left: `deploygate rollback after{option_of(found.change)}`"
        )
    begun = going_back.begun(incident, entries)
    if what != "rollback" and begun:
        raise Refused(
            f"a rollback of {incident.id} has begun ({begun}), and it cannot be left half done. Finish it: "
            f"`deploygate rollback execute --confirm {found.inventory}{option_of(found.change)}`"
        )
    return incident


def _signed(event: Event, found: Now, head: str, key: Path) -> str:
    """Sign a decision. Raises Refused: it cannot be signed, or the key is not allowed to decide in this role."""
    try:
        armour = decided.sign(event, found.change, found.inventory, head, key)
        allowed = find_root(Path.cwd()) / "allowed_signers"
        raw = decided.statement(event, found.change, found.inventory, head)
        why = decided.untrusted(raw, armour, event, allowed, event.at.wall) if allowed.is_file() else ""
    except SshError as error:
        raise Refused(f"nothing was decided, because it could not be signed: {error}") from None
    if why:
        raise Refused(f"nothing was decided: {why}")
    return armour


def _show(entries: list[Entry], late: list[Event], *, as_json: bool) -> None:
    with journals.plainly():
        found = situation.now(entries)
    people = changes.decisions(entries)
    if as_json:
        click.echo(json.dumps(_plain(found, people), indent=1))
        return
    console = Console(highlight=False)
    incident = found.incident
    if incident is None:
        said = found.decision.outcome.value if found.decision else "none"
        console.print(f"change {found.change}: no incident; the last run's decision is {said}", markup=False)
        return
    for event in late:
        console.print(line(event), soft_wrap=True)
    console.print(clock(incident), soft_wrap=True)
    for event in incident.events[-6:]:
        console.print(line(event), soft_wrap=True)
    for one in people:
        if one.event in incident.events:
            bad = one.state in ("altered", "untrusted")
            console.print(Text(f"  decision {one.text}", style="bold red" if bad else ""), soft_wrap=True)
    for because in _conditions(found) if incident.state in _ASKED else ():
        console.print(Text(f"  {because}"), soft_wrap=True)
    if step := _next(found, incident):
        console.print(Text(f"next: {step}"), soft_wrap=True)


def _conditions(found: Now) -> list[str]:
    rules = found.decision.rules if found.decision else ()
    return [f"{rule.name}: {rule.because}" for rule in rules if rule.name == CONDITIONS]


def _next(found: Now, incident: Incident) -> str:
    change = option_of(found.change)
    match incident.state:
        case asked if asked in _ASKED:
            return (
                f"deploygate decide go|hold|rollback{change} --role ROLE --reason TEXT"
                f" (the rules recommend {found.recommended.value})"
            )
        case State.ROLLING_BACK | State.ROLLBACK_FAILED:
            return (
                f"deploygate rollback plan{change},"
                f" then deploygate rollback execute --confirm {found.inventory}{change}"
            )
        case State.AFTER:
            return f"deploygate rollback after{change}, and again with --done once the follow-up is done"
    return ""


def _plain(found: Now, people: list[Decided]) -> dict[str, Any]:
    incident = found.incident
    return {
        "change": found.change,
        "inventory": found.inventory,
        "recommended": found.recommended.value,
        "conditions": _conditions(found),
        "decisions": [{"line": one.line, "state": one.state, "text": one.text} for one in people],
        "incident": None
        if incident is None
        else {
            "id": incident.id,
            "state": incident.state.value,
            "items": list(incident.items),
            "opened": incident.opened.wall.isoformat(),
            "clock": incident.clock[0] if incident.clock else None,
            "left_s": round(left, 1) if (left := incident.left_s(present())) is not None else None,
            "recommended": incident.recommended,
            "events": [incident_log.to_json(event) for event in incident.events],
        },
    }
