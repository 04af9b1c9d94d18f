"""Show what each step would do, and whether the time allows it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from pytest_deploygate.cli.shared import journals, options
from pytest_deploygate.cli.shared.refusals import Command, Refused
from pytest_deploygate.cli.shared.runbooks import prepare
from pytest_deploygate.cli.show import runbook as show
from pytest_deploygate.rollback import going_back, runbook, situation
from pytest_deploygate.rollback.going_back import Refusal


@click.command(cls=Command)
@options.change
@options.out
@options.inventory_of_last_run
@options.as_json
def plan(*, change: str, out: Path | None, inventory: str | None, as_json: bool) -> None:
    """Show what each step of the runbook would do, how it is verified, how long it takes, and what would be lost.

    Nothing is changed. Exit 4: the runbook has a problem or takes longer than is allowed.

    \b
    deploygate rollback plan --change CHG-1234
    """
    folder = journals.folder_of(change, out)
    entries = journals.read(folder)
    prepared = prepare(folder, entries, inventory, change)
    with journals.plainly():
        loss = situation.loss(entries, prepared.inventory)
        try:
            steps = going_back.steps(prepared.section, prepared.hooks)
            planned = runbook.plan(prepared.section, steps, prepared.tools)
        except Refusal as refused:
            raise Refused(str(refused)) from None
    if as_json:
        click.echo(json.dumps(show.plan_json(planned, loss), indent=1))
    else:
        show.plan(planned, loss)
    if not planned.sound:
        raise SystemExit(Refused.exit_code)
