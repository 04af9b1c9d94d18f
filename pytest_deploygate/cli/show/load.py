"""A load on the terminal: a live picture while it runs, a table afterwards."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.live import Live as RichLive
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pytest_deploygate.checks.load.facts import Latencies, LoadRun, Spectrum
from pytest_deploygate.checks.load.probe.engine import Engine
from pytest_deploygate.checks.load.section import Load
from pytest_deploygate.model import Judgement, Verdict, words_for

_BARS = "▁▂▃▄▅▆▇█"
_EVERY_S = 0.5
_WIDTH = 50
_MARKS = {Verdict.PASS: "✓", Verdict.FAIL: "✗"}


class Live:
    """Draws the run twice a second from its own thread; the engine's measured lag includes what this costs."""

    def __init__(self, plan: Load) -> None:
        self._plan = plan
        self._console = Console(stderr=True)
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._history: list[float | None] = []
        self._console.print("calibrating this client against a local server …", style="dim")

    def start(self, engine: Engine) -> None:
        """Start drawing."""
        self._thread = threading.Thread(
            target=self._draw, args=(engine,), name="deploygate-load", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop drawing and leave the last picture."""
        self._end.set()
        if self._thread is not None:
            self._thread.join(5)

    def _draw(self, engine: Engine) -> None:
        with RichLive(console=self._console, auto_refresh=False) as live:
            while not self._end.wait(_EVERY_S):
                live.update(self._picture(engine), refresh=True)

    def _picture(self, engine: Engine) -> Table:
        now, plan = engine.now_s, self._plan
        second = max(0, int(now) - 1)
        try:
            _, p50, p99 = engine.tally.recent(second)
        except RuntimeError:  # the engine was adding a second; the next picture has it
            p50 = p99 = None
        while len(self._history) <= second:
            self._history.append(None)
        self._history[second] = p99
        limit = plan.limits.p99.total_seconds()
        rows = Table.grid(padding=(0, 2))
        title = f"{plan.target.origin if plan.target else ''}  {engine.course.begun} sent, {engine.in_flight} open, "
        rows.add_row(Text(title + f"{engine.tally.failed} failed"))
        rows.add_row(ProgressBar(total=max(engine.plan.lasts_s, 0.1), completed=now, width=_WIDTH))
        rows.add_row(
            f"{now:4.0f} s of {words_for(engine.plan.lasts_s)}   p50 {_ms(p50)}   p99 {_ms(p99)}   this second"
        )
        rows.add_row(
            Text(f"{spark(self._history[-_WIDTH:], limit)}  p99 by second, full height {_ms(limit)}")
        )
        return rows


def spark(values: Sequence[float | None], top: float) -> str:
    """Draw values as a row of bars, with a gap for each unknown value."""

    def bar(value: float | None) -> str:
        return " " if value is None else _BARS[min(len(_BARS) - 1, int(value / top * len(_BARS)))]

    return "".join(map(bar, values))


def text(run: LoadRun, judged: Iterable[tuple[str, str, Judgement]]) -> str:
    """Return the result for a terminal: what was sent, a table by endpoint, the verdicts with their reasons."""
    client = run.client
    sent = f"{run.target}: {client.begun} requests in {words_for(run.lasted_s)}, {client.rate_achieved:.4g}/s"
    lines = [sent + (f"; stopped: {run.stopped}" if run.stopped else ""), _client(run), ""]
    head = f"{'':24} {'requests':>9} {'failed':>7} {'p50':>9} {'p99':>9} {'max':>9}"
    lines += [head, *(_row(found) for found in (*run.endpoints, run.whole)), ""]
    verdicts, notes = _verdicts(judged)
    # What another program did not tell is part of its result.
    return "\n".join([*lines, *verdicts, *(notes if run.client.tool else [])])


def spectrum(found: Spectrum, judged: Iterable[tuple[str, str, Judgement]]) -> str:
    """Return what wrk2 printed, the verdicts with their reasons, and what wrk2 does not tell."""
    verdicts, notes = _verdicts(judged)
    p50, p99 = _ms(found.within(0.5)), _ms(found.within(0.99))
    return "\n".join(
        [
            f"{found.url}: {found.answered} answers in {words_for(found.lasted_s)}, {found.recorded} of them recorded",
            f"of those, half within {p50}, 99 % within {p99}; {found.bad_status} answers had a status of 400 or above",
            "",
            *verdicts,
            *notes,
        ]
    )


def _verdicts(judged: Iterable[tuple[str, str, Judgement]]) -> tuple[list[str], list[str]]:
    """Return the lines of the verdicts, and of their notes, each once."""
    lines: list[str] = []
    notes: dict[str, None] = {}
    for endpoint, criterion, judgement in judged:
        mark = _MARKS.get(judgement.verdict, "?")
        lines.append(f"{mark} {judgement.verdict.value:12} {criterion} {endpoint}")
        lines.append(f"    {judgement.reason}")
        notes |= dict.fromkeys(judgement.notes)
    return lines, [f"  note: {note}" for note in notes]


def _client(run: LoadRun) -> str:
    client = run.client
    floor = (
        f"; its floor, against a server that does nothing, is p99 {_ms(client.floor.p99_s)}"
        if client.floor
        else ""
    )
    lag = _ms(client.lag_p99_s) if client.lag_p99_s < math.inf else "not known"
    return f"this client kept {client.kept:.1%} of its schedule; its own lag is p99 {lag}{floor}"


def _row(found: Latencies) -> str:
    values = f"{_ms(found.p50_s):>9} {_ms(found.p99_s):>9} {_ms(found.max_s):>9}"
    return f"{found.name[:24]:24} {found.requests:>9} {found.failed:>7} {values}"


def _ms(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
