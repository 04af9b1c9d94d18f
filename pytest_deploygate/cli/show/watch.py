"""A watch as it is printed: a live picture on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Self

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pytest_deploygate.checks.uptime.probe.record import Sample
from pytest_deploygate.checks.uptime.section import Uptime
from pytest_deploygate.model import Judgement, words_for

_STRIP = 40
_MARKS = {True: ("█", "green"), False: ("█", "red"), None: ("░", "yellow")}
_WORDS = {True: "up", False: "DOWN", None: "unknown"}


def clock(at: float) -> str:
    """Return a time of day in UTC, with the date unless it is today."""
    moment, today = datetime.fromtimestamp(at, UTC), datetime.now(UTC).date()
    return f"{moment:%H:%M:%S}" if moment.date() == today else f"{moment:%Y-%m-%d %H:%M:%S}"


class Lines:
    """Prints a line for each change: for logs, and where there is no terminal."""

    def __init__(self) -> None:
        self._last: dict[str, bool | None] = {}
        self._since: dict[str, float] = {}

    def __call__(self, sample: Sample) -> None:
        """Print a line if the state of the target has changed."""
        before = self._last.get(sample.target, ...)
        if before is sample.up:
            return
        since = self._since.get(sample.target)
        after = f" after {words_for(sample.at - since)}" if since is not None else ""
        why = f": {sample.why}" if sample.why else f", {sample.took_ms:.0f} ms"
        click.echo(f"{clock(sample.at)} {sample.target} is {_WORDS[sample.up]}{after}{why}")
        self._last[sample.target], self._since[sample.target] = sample.up, sample.at


class Picture:
    """The latest answers of each target as a strip, redrawn in place. `title` is the line above."""

    def __init__(self, uptime: Uptime, names: Sequence[str], title: str, t0: float, until: float) -> None:
        self._uptime = uptime
        self._title = title
        self._t0, self._until = t0, until
        self._latest: dict[str, deque[Sample]] = {name: deque(maxlen=_STRIP) for name in names}
        self._counts = {name: {True: 0, False: 0, None: 0} for name in names}
        self._live = Live(self.drawn(), console=Console(highlight=False), auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def __call__(self, sample: Sample) -> None:
        """Add an answer to the picture."""
        self._latest[sample.target].append(sample)
        self._counts[sample.target][sample.up] += 1
        self._live.update(self.drawn(), refresh=True)

    def drawn(self) -> RenderableType:
        """Return the picture as it is now."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("target", "now", "answered in", f"last {_STRIP} answers", "up", "failed", "unknown"):
            table.add_column(name, no_wrap=name.startswith("last"))
        for name, latest in self._latest.items():
            table.add_row(*self._row(name, latest))
        why = [
            f"  {name}: {latest[-1].why}"
            for name, latest in self._latest.items()
            if latest and latest[-1].why
        ]
        return Group(
            self._title, Text(self._time(), style="dim"), table, *(Text(w, style="red") for w in why)
        )

    def _row(self, name: str, latest: deque[Sample]) -> list[str | Text]:
        counts = [str(self._counts[name][state]) for state in (True, False, None)]
        strip = Text.assemble(*(_MARKS[sample.up] for sample in latest))
        if not latest:
            return [name, Text("–"), "", strip, *counts]
        last = latest[-1]
        return [name, Text(_WORDS[last.up], _MARKS[last.up][1]), f"{last.took_ms:.0f} ms", strip, *counts]

    def _time(self) -> str:
        now = time.time()
        budget = f"budget {self._uptime.budget_s:.1f} s"
        if now < self._t0:
            return f"t0 is in {words_for(self._t0 - now)}, at {clock(self._t0)} UTC; {budget}"
        left = max(0.0, self._until - now)
        return f"since t0 {words_for(now - self._t0)}, {words_for(left)} left until {clock(self._until)} UTC; {budget}"


def show_status(console: Console, judged: Sequence[tuple[str, Judgement]]) -> None:
    """Print the result so far of each target."""
    colours = {"pass": "green", "fail": "red"}
    for _, judgement in judged:
        colour = colours.get(judgement.verdict.value, "yellow")
        console.print(f"  [{colour}]{judgement.verdict.value}[/]  ", end="")
        console.print(judgement.reason, markup=False, soft_wrap=True)
        for note in judgement.notes:
            console.print(f"    {note}", markup=False, soft_wrap=True, style="dim")
