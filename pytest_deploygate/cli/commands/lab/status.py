"""Show what runs where."""

from __future__ import annotations

import json

import click
from rich.console import Console

from pytest_deploygate.cli.shared import options
from pytest_deploygate.cli.show.columns import columns
from pytest_deploygate.fields.references import lab_folder
from pytest_deploygate.lab import status as seen
from pytest_deploygate.lab.state import LabError


@click.command()
@options.as_json
@click.pass_context
def status(context: click.Context, *, as_json: bool) -> None:
    """Show what runs where. Exit 3 if the lab is not running.

    \b
    deploygate lab status
    deploygate lab status --json
    """
    folder = lab_folder()
    try:
        state = seen.as_json(folder)
    except LabError as error:
        reason = str(error)
        if folder.exists() and (folder / "state.json").exists():
            reason = f"the lab is not running; {folder} is left from an earlier one: `deploygate lab up`"
        click.echo(
            json.dumps({"running": False, "folder": str(folder), "reason": reason}) if as_json else reason
        )
        context.exit(3)
    if as_json:
        click.echo(json.dumps(state, indent=1))
        return
    console = Console(highlight=False)
    console.print(f"lab in {state['folder']}", soft_wrap=True)
    table = columns("name", "what", "state", "port", "pid", "where")
    for place in state["servers"]:
        colour = "green" if place["state"] in ("running", "scheduled") else "red"
        cells = [place["name"], place["what"], f"[{colour}]{place['state']}[/]", place["port"], place["pid"]]
        where = place["where"].removeprefix(f"{state['folder']}/")
        table.add_row(*("" if c is None else str(c) for c in cells), where)
    console.print(table)
    if state["profiles"]["available"]:
        up_now = ", ".join(state["profiles"]["up"]) or "none"
        console.print(
            f"profiles: {up_now}; there are {', '.join(state['profiles']['available'])}", soft_wrap=True
        )
    for line in state["missing"]:
        console.print(f"[yellow]–[/] {line}", soft_wrap=True)
    for name in state["faults"]:
        console.print(f"[red]![/] fault {name}; `deploygate lab heal` repairs it")
