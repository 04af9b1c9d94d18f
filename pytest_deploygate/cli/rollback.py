"""`deploygate rollback`: look at the runbook, or go back step by step."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from pytest_deploygate.checklist.records import parse_time
from pytest_deploygate.checks.way_back import section as way_back
from pytest_deploygate.checks.way_back.facts import Lost
from pytest_deploygate.checks.way_back.section.rollback import Rollback
from pytest_deploygate.cli import changes, outcome, repository
from pytest_deploygate.cli.inventories import Refused
from pytest_deploygate.cli.repository import find_root
from pytest_deploygate.decision import incident_log
from pytest_deploygate.decision.incidents import Event, State, What
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.journal import utcnow
from pytest_deploygate.model import words_for
from pytest_deploygate.moments import present
from pytest_deploygate.rollback import aftermath, going_back, items, runbook, situation
from pytest_deploygate.rollback.actions import Tools
from pytest_deploygate.rollback.going_back import Acceptance, Refusal
from pytest_deploygate.rollback.runbook import Plan

EXIT_BACK, EXIT_FAILED = 23, 24


@click.command("rollback", cls=changes.Command, short_help="Look at the runbook, or go back step by step.")
@changes.options
@click.option(
    "--inventory", "name", metavar="NAME|PATH", help="The inventory, when not that of the last run."
)
@click.option("--plan", "show_plan", is_flag=True, help="Look at every step; change nothing.")
@click.option("--execute", is_flag=True, help="Do the steps, or go on with what a crash interrupted.")
@click.option("--confirm", metavar="NAME", help="With --execute: the inventory's name, once more.")
@click.option(
    "--accept-loss", is_flag=True, help="Past the point of no return: somebody answers for what is lost."
)
@click.option("--role", default="", help="With --accept-loss: the role that answers for it.")
@click.option("--name", "person", default="", help="With --accept-loss: who that is.")
@click.option(
    "--after", is_flag=True, help="Write what follows a rollback: issues, plan, status, appointment."
)
@click.option("--retry", metavar="TIME", help="With --after: when the next try is, e.g. 2026-12-02T20:00Z.")
@click.option("--done", is_flag=True, help="With --after: what comes after is done; the incident is over.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def rollback(
    *,
    change: str,
    out: Path | None,
    name: str | None,
    show_plan: bool,
    execute: bool,
    confirm: str | None,
    accept_loss: bool,
    role: str,
    person: str,
    after: bool,
    retry: str | None,
    done: bool,
    as_json: bool,
) -> None:
    """Look at the runbook of the inventory (`rollback.steps`), or go back.

    Each step is written down before and after, and verified; after a crash the same command goes on, and looks first
    whether the interrupted step took. Exit 23: rolled back and verified. 24: a step failed or could not be verified.

    \b
    deploygate rollback --plan --change CHG-1234
    deploygate rollback --execute --confirm prod --change CHG-1234
    deploygate rollback --execute --confirm prod --change CHG-1234 --accept-loss --role executive-sponsor
    deploygate rollback --after --retry 2026-12-02T20:00Z --change CHG-1234
    """
    _check(show_plan=show_plan, execute=execute, after=after, confirm=confirm, accept_loss=accept_loss, role=role,
           person=person, retry=retry, done=done)  # fmt: skip
    folder = changes.folder_of(change, out)
    entries = changes.read(folder)
    inventory = changes.inventory_of(entries, name).inventory
    if after:
        _after(folder, inventory, retry, done=done, as_json=as_json)
        return
    section = _section(inventory)
    root, complaints = find_root(Path.cwd()), changes.Complaints()
    loaded = changes.hooks_of_repository(complaints)
    tools = Tools(change, loaded, items.runner(root, name or inventory.name, folder), inventory)
    if not execute:
        with changes.plainly():
            loss = situation.loss(entries, inventory)
            try:
                planned = runbook.plan(section, going_back.steps(section, loaded), tools)
            except Refusal as refused:
                raise click.ClickException(str(refused)) from None
        _show_plan(planned, loss, as_json=as_json)
        if show_plan and not planned.sound:
            raise SystemExit(1)
        return
    if confirm != inventory.name:
        raise Refused(f"to go back for real, repeat the inventory's name: --confirm {inventory.name}")
    acceptance = Acceptance(changes.role(role, entries), changes.person(person)) if accept_loss else None
    _execute(folder, inventory, section, tools, acceptance, complaints, as_json=as_json)


def _section(inventory: Inventory) -> Rollback:
    section = inventory.of(way_back.Keys).rollback
    if section is None or not section.steps:
        raise Refused("the inventory has no rollback.steps: there is no runbook to follow")
    return section


def _check(
    *,
    show_plan: bool,
    execute: bool,
    after: bool,
    confirm: str | None,
    accept_loss: bool,
    role: str,
    person: str,
    retry: str | None,
    done: bool,
) -> None:
    """Refuse options that contradict each other or would be left unused: at night nobody notices what was ignored."""
    asked = [
        word for word, given in (("--plan", show_plan), ("--execute", execute), ("--after", after)) if given
    ]
    if len(asked) > 1:
        raise Refused(f"{' and '.join(asked)} are two things: ask for one of them")
    for what, given, belongs, there in (
        ("--confirm", confirm is not None, "--execute", execute),
        ("--accept-loss", accept_loss, "--execute", execute),
        ("--role and --name", bool(role or person), "--accept-loss", accept_loss),
        ("--retry", retry is not None, "--after", after),
        ("--done", done, "--after", after),
    ):
        if given and not there:
            raise Refused(f"{what} belongs to {belongs}")
    if accept_loss and not role:
        raise Refused("--accept-loss needs --role: somebody answers for what is lost")


def execute_decided(folder: Path) -> None:
    """Go back as the deadline's policy decided, with the inventory of the last run; nobody accepts a loss. Exits 23 or 24."""
    entries = changes.read(folder)
    inventory = changes.inventory_of(entries, None).inventory
    section = _section(inventory)
    root, complaints = find_root(Path.cwd()), changes.Complaints()
    loaded = changes.hooks_of_repository(complaints)
    tools = Tools(
        situation.now(entries).change, loaded, items.runner(root, inventory.name, folder), inventory
    )
    _execute(folder, inventory, section, tools, None, complaints, as_json=False)


def _execute(
    folder: Path,
    inventory: Inventory,
    section: Rollback,
    tools: Tools,
    acceptance: Acceptance | None,
    complaints: changes.Complaints,
    *,
    as_json: bool,
) -> None:
    console = Console(highlight=False, stderr=as_json)
    began = time.monotonic()

    def say(step: str, said: str) -> None:
        passed = words_for(round(time.monotonic() - began))
        console.print(f"  {step}: {said}  ({passed})", soft_wrap=True, markup=False)

    with changes.writing(folder) as writer:
        complaints.keep(writer)
        changes.refuse_altered(writer.entries, acting=True)
        changes.act_on_clocks(writer, folder)
        try:
            ended = going_back.go(writer, inventory, section, tools, acceptance, say)
        except Refusal as refused:
            raise click.ClickException(str(refused)) from None
        report = outcome.keep(writer, folder, ended)
    if as_json:
        click.echo(json.dumps(_ended(ended), indent=1))
    else:
        _show_end(console, ended, inventory, section)
        console.print(report, soft_wrap=True, markup=False)
    raise SystemExit(EXIT_BACK if ended.verified else EXIT_FAILED)


def _show_end(console: Console, ended: going_back.Ended, inventory: Inventory, section: Rollback) -> None:
    if ended.verified:
        console.print(
            "rolled back and verified: every step was done and seen to have taken", style="bold green"
        )
        return
    console.print(
        f"ROLLBACK FAILED at {ended.failed}: {ended.why}", style="bold red", markup=False, soft_wrap=True
    )
    for line in outcome.to_call(ended, inventory, section):
        console.print(line, style="bold", markup=False, soft_wrap=True)
    console.print("how the platform stands now:")
    for one in ended.platform:
        mark = "as wanted" if one.good else "NOT as wanted"
        console.print(f"  {one.step}: {mark}: {one.said}", markup=False, soft_wrap=True)
    console.print(f"not begun: {', '.join(ended.left) or 'nothing else'}", markup=False, soft_wrap=True)
    console.print("mend the cause, then run the same command again: what is done is not done twice")


def _after(folder: Path, inventory: Inventory, retry: str | None, *, done: bool, as_json: bool) -> None:
    """Write what follows a rollback beside the journal, and end the incident where that was said."""
    when = _retry(retry, inventory)
    with changes.writing(folder) as writer:
        changes.act_on_clocks(writer, folder)
        found = situation.after(writer.entries, inventory.of(way_back.Keys).rollback or Rollback(), when)
        if found is None:
            raise click.ClickException("this change has no incident: there is nothing to write down after it")
        if done and found.incident.state is not State.AFTER:
            raise click.ClickException(
                f"{found.incident.id} is {found.incident.state.value}: only what was rolled back can be --done"
            )
        texts = aftermath.render(found)
        for name, text in texts.items():
            repository.write(folder / "after" / name, text)
        left = aftermath.tasks(found)
        writer.append(aftermath.KIND, aftermath.to_json(found))
        if done:
            event = Event(found.incident.id, What.AFTER_DONE, present(), "deploygate")
            writer.append(incident_log.KIND, incident_log.to_json(event))
        report = outcome.render(writer, folder)
    if as_json:
        listed = [{"title": t.title, "owner": t.owner, "due": t.due.isoformat()} for t in left]
        files = [str(folder / "after" / name) for name in texts]
        click.echo(json.dumps({"files": files, "tasks": listed, "call": list(found.calls)}, indent=1))
        return
    for task in left:
        click.echo(f"  {task.title}\n    {task.owner}, until {task.due:%Y-%m-%d %H:%M} UTC")
    for number, call in enumerate(found.calls, start=1):
        click.echo(f"  call {number}. {call}")
    click.echo(f"wrote {', '.join(texts)} to {folder / 'after'}")
    click.echo(report)


def _retry(text: str | None, inventory: Inventory) -> datetime | None:
    """Read when the next try is: to come, and not in a freeze."""
    if text is None:
        return None
    try:
        when = parse_time(text)
    except ValueError as error:
        raise Refused(f"--retry {text}: {error}; write for example 2026-12-02T20:00Z") from None
    if when <= utcnow():
        raise Refused(f"--retry {text} is over: the next try is still to come")
    for freeze in inventory.timetable.freezes if inventory.timetable else ():
        if freeze.start <= when < freeze.end:
            raise Refused(
                f"--retry {text} is in a freeze until {freeze.end:%Y-%m-%d %H:%M} UTC ({freeze.reason}): choose another time"
            )
    return when


def _show_plan(plan: Plan, loss: Lost | None, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_plain(plan, loss), indent=1))
        return
    console = Console(highlight=False)
    for number, step in enumerate(plan.steps, start=1):
        console.print(f"{number:2}  {step.name}", style="bold", markup=False)
        if step.loses_writes:
            console.print(
                "    the point of no return: what the new side accepted is lost from here on", style="yellow"
            )
        takes = f"{words_for(step.estimate_s)} ({step.estimated_from}); call {step.call or 'nobody is named'}"
        for what, said in (("would", step.would), ("verified by", step.verified_by), ("takes", takes)):
            console.print(f"    {what}: {said}", markup=False, soft_wrap=True)
    fits = "fits" if plan.estimate_s <= plan.allowed_s else "does NOT fit"
    console.print(f"in all {words_for(plan.estimate_s)}: {fits} into {words_for(plan.allowed_s)}")
    if loss is not None:
        rows = loss.problem if loss.rows is None else f"{loss.rows} rows that the new side accepted"
        console.print(f"a rollback now would lose: {rows}")
    for problem in [*plan.problems, *(f"{s.name}: {p}" for s in plan.steps for p in s.problems)]:
        console.print(f"  problem: {problem}", style="red", markup=False)


def _plain(plan: Plan, loss: Lost | None) -> dict[str, Any]:
    return {
        "sound": plan.sound,
        "estimate_s": plan.estimate_s,
        "allowed_s": plan.allowed_s,
        "problems": list(plan.problems),
        "loss": None if loss is None else {"rows": loss.rows, "problem": loss.problem},
        "steps": [
            {
                "name": step.name,
                "would": step.would,
                "verified_by": step.verified_by,
                "estimate_s": step.estimate_s,
                "estimated_from": step.estimated_from,
                "call": step.call,
                "loses_writes": step.loses_writes,
                "problems": list(step.problems),
            }
            for step in plan.steps
        ],
    }


def _ended(ended: going_back.Ended) -> dict[str, Any]:
    return {
        "verified": ended.verified,
        "failed": ended.failed,
        "why": ended.why,
        "call": ended.call,
        "left": list(ended.left),
        "platform": [{"step": s.step, "as_wanted": s.good, "said": s.said} for s in ended.platform],
        "steps": [
            {"step": line.step, "mark": line.mark.value, "said": line.said, "took_s": line.took_s}
            for line in ended.progress.lines
            if line.step
        ],
    }
