"""Rehearse the rollback that the inventory lab-guards describes."""

from __future__ import annotations

from pathlib import Path

import click

from pytest_deploygate.cli.shared import lab_way_back, running_lab
from pytest_deploygate.cli.shared.root import find_root
from pytest_deploygate.fields.sources.lab import lab_folder
from pytest_deploygate.lab.state import load


@click.command()
def rehearse() -> None:
    """Execute the runbook of the inventory lab-guards once, measure the baseline and record the cutover.

    \b
    deploygate lab rehearse
    pytest --items day.rollback-plan,guard.baseline,guard.loss-if-rolled-back,guard.old-side-fenced --inventory lab-guards
    """
    with running_lab.plainly():
        problem = lab_way_back.rehearse(load(lab_folder()), find_root(Path.cwd()))
    if problem:
        raise click.ClickException(problem)
    click.echo("rehearsed: the runbook was executed, the baseline is measured, the cutover is now")
