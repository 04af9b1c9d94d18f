"""Stop everything that belongs to the lab and remove its folder."""

from __future__ import annotations

import click

from pytest_deploygate.cli.shared import running_lab
from pytest_deploygate.fields.references import lab_folder
from pytest_deploygate.lab import up as starting


@click.command()
def down() -> None:
    """Stop everything that belongs to the lab and remove its folder.

    \b
    deploygate lab down
    """
    with running_lab.plainly():
        click.echo("the lab is down" if starting.down(lab_folder()) else "no lab was running")
