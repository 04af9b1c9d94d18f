"""Execute the steps, or continue after a crash."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click
from rich.console import Console

from pytest_deploygate.cli.shared import changes, interrupted, journals, options, outcome
from pytest_deploygate.cli.shared.refusals import Command, Refused
from pytest_deploygate.cli.shared.runbooks import Prepared, prepare
from pytest_deploygate.cli.show import runbook as show
from pytest_deploygate.decision import unfinished
from pytest_deploygate.journal import readable
from pytest_deploygate.model import words_for
from pytest_deploygate.rollback import going_back, situation
from pytest_deploygate.rollback.going_back import Refusal
from pytest_deploygate.rollback.losing import Acceptance

EXIT_BACK, EXIT_FAILED = 23, 24


@click.command(cls=Command)
@options.change
@options.out
@options.inventory_of_last_run
@click.option("--confirm", metavar="NAME", help="The inventory's name, repeated.")
@click.option(
    "--accept-loss",
    is_flag=True,
    help="Continue past the point of no return: --role accepts that writes are lost.",
)
@click.option(
    "--role", default="", metavar="ROLE", help="With --accept-loss: the role that accepts the loss."
)
@click.option(
    "--name",
    "person",
    default="",
    metavar="NAME",
    help="With --accept-loss: the person in that role. Default: the user logged in here.",
)
@options.as_json
def execute(
    *,
    change: str,
    out: Path | None,
    inventory: str | None,
    confirm: str | None,
    accept_loss: bool,
    role: str,
    person: str,
    as_json: bool,
) -> None:
    """Execute the runbook of the inventory step by step, after `deploygate decide rollback`.

    Each step is recorded before and after, and verified. After a crash the same command continues, and first checks
    whether the interrupted step took effect. Exit 23: rolled back and verified. 24: a step failed or could not be
    verified. 25: the record of it is not in the folder, however it ended.

    \b
    deploygate rollback execute --confirm prod --change CHG-1234
    deploygate rollback execute --confirm prod --change CHG-1234 --accept-loss --role executive-sponsor
    """
    # Options without effect are refused: nobody notices at night what was ignored.
    if (role or person) and not accept_loss:
        raise Refused("--role and --name belong to --accept-loss")
    if accept_loss and not role:
        raise Refused("--accept-loss needs --role: somebody must accept the loss")
    folder = journals.folder_of(change, out)
    entries = journals.read(folder)
    prepared = prepare(folder, entries, inventory, change)
    if confirm != prepared.inventory.name:
        raise Refused(
            f"to roll back for real, repeat the inventory's name: --confirm {prepared.inventory.name}"
        )
    with journals.plainly(), readable():
        left = unfinished.rollback(entries)
    if left and left.closed and left.has_event:  # killed between its last step and its outcome
        interrupted.finish(folder)
        raise SystemExit(EXIT_BACK if left.verified else EXIT_FAILED)
    acceptance = Acceptance(changes.role(role, entries), changes.person(person)) if accept_loss else None
    _execute(folder, prepared, acceptance, as_json=as_json)


def execute_decided(folder: Path) -> None:
    """Roll back as the deadline's policy decided, with the inventory of the last run; nobody accepts a loss.

    Exits with 23 or 24.
    """
    entries = journals.read(folder)
    with journals.plainly():
        change = situation.now(entries).change
    _execute(folder, prepare(folder, entries, None, change), None, as_json=False)


def _execute(folder: Path, prepared: Prepared, acceptance: Acceptance | None, *, as_json: bool) -> None:
    console = Console(highlight=False, stderr=as_json)
    began = time.monotonic()

    def say(step: str, said: str) -> None:
        passed = words_for(round(time.monotonic() - began))
        console.print(f"  {step}: {said}  ({passed})", soft_wrap=True, markup=False)

    with changes.writing(folder, finishing_first=False) as writer:
        prepared.complaints.keep(writer)
        changes.refuse_altered(writer.entries, acting=True)
        changes.act_on_clocks(writer, folder)
        try:
            ended = going_back.go(
                writer, prepared.inventory, prepared.section, prepared.tools, acceptance, say
            )
        except Refusal as refused:
            raise Refused(str(refused)) from None
        report = outcome.keep(writer, folder, ended)
        # Before the record is read again: how the rollback ended is said also if the record of it is lost.
        if as_json:
            click.echo(json.dumps(show.ended_json(ended), indent=1))
        else:
            show.ended(console, ended, outcome.to_call(ended, prepared.inventory, prepared.section))
            console.print(report, soft_wrap=True, markup=False)
    raise SystemExit(EXIT_BACK if ended.verified else EXIT_FAILED)
