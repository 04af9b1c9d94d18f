"""Repair one fault, or all of them."""

from __future__ import annotations

import click

from pytest_deploygate.cli.shared import running_lab
from pytest_deploygate.lab import faults
from pytest_deploygate.problems import nearest


@click.command()
@click.argument("name", required=False)
def heal(name: str | None) -> None:
    """Repair the fault NAME, or everything.

    \b
    deploygate lab heal
    deploygate lab heal receiver-frozen
    """
    known = faults.all_faults()
    if name is not None and name not in known:
        raise click.UsageError(f"there is no fault {name!r}{nearest(name, known)}")
    with running_lab.alone() as found:
        healed = faults.heal(found, name)
    click.echo(f"repaired: {', '.join(healed)}" if healed else "the lab has no fault; the cluster is whole")
