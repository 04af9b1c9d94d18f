"""A comparison on the terminal: a bar while it runs, a table of tables afterwards."""

from __future__ import annotations

import time

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from pytest_deploygate.comparison.outcome import Outcome, TableOutcome
from pytest_deploygate.model import Judgement, Verdict, words_for

_MARKS = {Verdict.PASS: "✓", Verdict.FAIL: "✗"}
_LEAST_S = 2.0
_LINE_S = 30.0


class Bar:
    """Rows of both sides, their rate, and when they will have been read."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[said]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task("comparing", total=None, said="")
        self._began = 0.0
        self._tables = self._done = self._rows = self._before = self._total = 0

    def planned(self, tables: int, rows: int) -> None:
        """See `engine.Watch`."""
        self._tables, self._total, self._began = tables, rows, time.monotonic()
        self._progress.start()

    def read(self, rows: int) -> None:
        """See `engine.Watch`. What is told first was read by an earlier command, and is no part of the rate."""
        if self._rows == 0 and time.monotonic() - self._began < _LEAST_S / 20:
            self._before = rows
        self._rows += rows
        self._show()

    def finished(self, table: TableOutcome) -> None:
        """See `engine.Watch`."""
        self._done += 1
        if table.differences:
            self._progress.console.print(f"{table.source}: {table.differences} rows differ")
        self._show()

    def close(self) -> None:
        """Remove the bar."""
        self._progress.stop()

    def _show(self) -> None:
        seconds = time.monotonic() - self._began
        rate = (self._rows - self._before) / seconds if seconds > 0 else 0.0
        left = max(self._total - self._rows, 0)
        eta = f", about {words_for(left / rate)} left" if rate and seconds > _LEAST_S else ""
        said = f"{self._rows} rows, {rate:.0f}/s, {self._done} of {self._tables} tables{eta}"
        self._progress.update(
            self._task, total=max(self._total, self._rows, 1), completed=self._rows, said=said
        )


class Lines:
    """A line for each table that ends, and one now and then meanwhile: for logs, where a bar cannot be drawn."""

    def __init__(self) -> None:
        self._began = self._said = time.monotonic()
        self._tables = self._done = self._rows = self._total = 0

    def planned(self, tables: int, rows: int) -> None:
        """See `engine.Watch`."""
        self._tables, self._total = tables, rows
        click.echo(f"comparing {tables} tables, about {rows // 2} rows on each side", err=True)

    def read(self, rows: int) -> None:
        """See `engine.Watch`."""
        self._rows += rows
        now = time.monotonic()
        if now - self._said >= _LINE_S:
            self._said = now
            rate = self._rows / (now - self._began)
            click.echo(
                f"{self._rows} of about {max(self._total, self._rows)} rows of both sides read, {rate:.0f}/s, "
                f"{self._done} of {self._tables} tables",
                err=True,
            )

    def finished(self, table: TableOutcome) -> None:
        """See `engine.Watch`."""
        self._done += 1
        found = table.problem or (
            f"{table.differences} rows differ" if table.differences else f"{table.source_rows} rows equal"
        )
        click.echo(f"{self._done} of {self._tables}: {table.source}: {found}", err=True)

    def close(self) -> None:
        """Nothing is left to remove."""


def show(outcome: Outcome, judged: Judgement) -> None:
    """Print the tables and the verdict."""
    console = Console()
    table = Table(box=None, pad_edge=False)
    for name, justify in (
        ("table", "left"),
        ("rows", "right"),
        ("parts", "right"),
        ("differ", "right"),
        ("time", "right"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for one in outcome.tables:
        table.add_row(
            one.source,
            str(one.source_rows),
            f"{one.parts_done} of {one.parts}",
            f"{one.differences}{' (?)' if one.problem or one.unsettled else ''}",
            words_for(one.seconds),
        )
    console.print(table)
    mark = _MARKS.get(judged.verdict, "?")
    console.print(
        f"{mark} {judged.verdict.value}: {judged.reason}", highlight=False, markup=False, soft_wrap=True
    )
    for note in judged.notes:
        console.print(f"  {note}", highlight=False, markup=False, soft_wrap=True)
