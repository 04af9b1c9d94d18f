"""A history as tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

import click
from rich.console import Console

from pytest_deploygate.cli.show.columns import columns
from pytest_deploygate.history import rows, view
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
    several = len({part.inventory for part in history.parts}) > 1
    _changes(console, history, several, everything=everything)
    _items(console, history, several, everything=everything)
    for line in _out(history):
        click.echo(line)


def _changes(console: Console, history: History, several: bool, *, everything: bool) -> None:
    found = view.change_rows(history.parts)
    shown = found if everything else found[:CHANGES]
    if not shown:
        return
    table = columns(
        "change", *(["inventory"] if several else []), "state", "go-live", "decision", "incidents"
    )
    for row in shown:
        place = [row.inventory] if several else []
        table.add_row(row.change, *place, row.state.value, row.began, row.decided, row.incidents)
    console.print()
    console.print(table)
    _more(len(found) - len(shown), "older change")


def _items(console: Console, history: History, several: bool, *, everything: bool) -> None:
    found, left_out = rows.item_rows(history, 0, len(history.items) if everything else ITEMS)
    if not found:
        return
    table = columns("item", *(["inventory"] if several else []), "verdicts", "takes", "differed", "held")
    for one in found:
        place = [one.inventory] if several else []
        table.add_row(one.item, *place, one.tally, one.took, one.differed, one.held)
    console.print()
    console.print(table)
    _more(left_out, "more item")


def _more(count: int, what: str) -> None:
    if count > 0:
        click.echo(f"and {words.count(count, what)}: --all shows them")


def _out(history: History) -> Iterator[str]:
    for name, lines in rows.standing_out(history)[2:]:
        if lines:
            yield f"\n{name}:"
            yield from (f"  {line}" for line in lines)


def notes(history: History, *, err: bool = False) -> None:
    """Print a line for each folder that is not counted, or not whole."""
    for line, _ in view.notes(history):
        click.echo(line, err=err)
