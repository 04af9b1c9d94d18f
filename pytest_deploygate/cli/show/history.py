"""A history as tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

import click
from rich.console import Console

from pytest_deploygate.cli.show.columns import columns
from pytest_deploygate.history import view
from pytest_deploygate.history.reading import History
from pytest_deploygate.report import words

#: Rows that are shown unless all are asked for.
CHANGES, ITEMS = 10, 20


def tables(history: History, *, everything: bool) -> None:
    """Print the figures of each inventory, the newest changes and the items that held most."""
    console = Console(highlight=False, markup=False)
    for inventory in view.inventories(history):
        console.print(f"\n{inventory.name}", style="bold")
        figures = columns("figure", "value", "rests on")
        for figure in inventory.figures:
            figures.add_row(figure.name, figure.value, figure.rests_on)
        console.print(figures)
    rows = view.change_rows(history.parts)
    shown = rows if everything else rows[:CHANGES]
    if shown:
        changes = columns("change", "inventory", "state", "go-live", "decision", "incidents")
        for row in shown:
            changes.add_row(row.change, row.inventory, row.state.value, row.began, row.decided, row.incidents)
        console.print()
        console.print(changes)
        _more(len(rows) - len(shown), "older change")
    found, left_out = view.item_rows(history, 0, len(history.parts) * 10**6 if everything else ITEMS)
    if found:
        table = columns("item", "inventory", "verdicts", "takes", "verdict differed in", "held")
        for one in found:
            table.add_row(
                one.item, one.inventory, one.tally, one.took, one.steady.partition(":")[0], one.held
            )
        console.print()
        console.print(table)
        _more(left_out, "more item")
    for line in _out(history):
        click.echo(line)


def _more(count: int, what: str) -> None:
    if count > 0:
        click.echo(f"and {words.count(count, what)}: --all shows them")


def _out(history: History) -> Iterator[str]:
    for name, lines in view.standing_out(history)[2:]:
        if lines:
            yield f"\n{name}:"
            yield from (f"  {line}" for line in lines)


def notes(history: History, *, err: bool = False) -> None:
    """Print a line for each folder that is not counted, or not whole."""
    for line, _ in view.notes(history):
        click.echo(line, err=err)
