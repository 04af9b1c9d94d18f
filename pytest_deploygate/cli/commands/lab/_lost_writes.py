"""Save as CSV what version 2 has accepted since the cutover."""

from __future__ import annotations

from pathlib import Path

import click

from pytest_deploygate.cli.shared import running_lab
from pytest_deploygate.lab import releases
from pytest_deploygate.lab.state import load


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
def lost_writes(file: Path) -> None:
    """Save as CSV in FILE what version 2 has accepted since the cutover."""
    with running_lab.plainly():
        rows = releases.save_writes(load(), file)
    click.echo(f"{rows} readings in {file}")
