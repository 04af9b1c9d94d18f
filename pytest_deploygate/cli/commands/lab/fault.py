"""List the faults, or put one into the lab."""

from __future__ import annotations

import json

import click
from rich.console import Console

from pytest_deploygate.cli.shared import options, running_lab
from pytest_deploygate.cli.show.columns import columns
from pytest_deploygate.lab import faults
from pytest_deploygate.problems import nearest


@click.command()
@click.argument("name", required=False)
@click.option("--also", is_flag=True, help="Add the fault although the lab has another one.")
@options.as_json
def fault(name: str | None, *, also: bool, as_json: bool) -> None:
    """List the faults, or put the fault NAME into the lab.

    \b
    deploygate lab fault                      # what can be broken, and which items must notice
    deploygate lab fault receiver-frozen
    deploygate lab fault index-invalid --also # beside the fault that the lab has
    """
    known = faults.all_faults()
    if name is None:
        _list(as_json=as_json)
        return
    if name not in known:
        raise click.UsageError(f"there is no fault {name!r}{nearest(name, known)}")
    with running_lab.alone() as found:
        faults.put_in(found, known[name], also=also)
    click.echo(f"{name}: {known[name].what}")
    for item, verdict in known[name].items.items():
        click.echo(f"  {item} must become {verdict}")
    click.echo(f"look: pytest --items {','.join(known[name].items)} --inventory {known[name].inventory}")


def _list(*, as_json: bool) -> None:
    known = faults.all_faults().values()
    if as_json:
        listed = [{"name": f.name, "items": dict(f.items), "what": f.what} for f in known]
        click.echo(json.dumps(listed, indent=1))
        return
    table = columns("fault", "items it must change", "what it does")
    for one in known:
        table.add_row(one.name, "\n".join(f"{i} → {v}" for i, v in one.items.items()), one.what)
    Console(highlight=False).print(table)
