"""Restore the lab to the state in which it came up."""

from __future__ import annotations

import click

from pytest_deploygate.cli.shared import running_lab
from pytest_deploygate.lab import cluster


@click.command()
def reset() -> None:
    """Restore data, backups and schedule of the lab to the state in which it came up."""
    with running_lab.alone() as found:
        cluster.reset(found)
    click.echo("the lab is as it was when it came up")
