"""The summary at the end of a run, readable at night in 80 columns: first what is wrong, then the decision.

Passes are only counted. Colours repeat what the words say, and are left out without a terminal or with NO_COLOR.
"""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Container, Iterator

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule as Line
from rich.table import Table
from rich.text import Text

from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.model import Finding, Rule, Verdict
from pytest_deploygate.report import causes, ending, grouping, words
from pytest_deploygate.report.causes import Cause
from pytest_deploygate.report.due import Beside, Due, due
from pytest_deploygate.report.ending import Look
from pytest_deploygate.report.leaving import cleaned, leaving
from pytest_deploygate.report.record import Record
from pytest_deploygate.report.view import exit_words, scope_words

_STYLE = {
    Verdict.FAIL: "bold red",
    Verdict.INCONCLUSIVE: "bold yellow",
    Verdict.NOT_COVERED: "bold magenta",
    Verdict.WAIVED: "bold cyan",
}
_LOOK_STYLE = {
    Look.GO: "bold green",
    Look.WAIVED: "bold cyan",
    Look.HOLD: "bold yellow",
    Look.BACK: "bold blue",
}
#: The rule that only counts what the line above counts already.
_COUNTED = "passed, attested or not applicable"
#: Targets of one item, and items of one verdict, that are named; the rest are counted.
MOST_TARGETS = 10
MOST_ITEMS = 60
_MOST_REASON = 600
#: A reason up to this length is repeated; a longer one is shortened to it.
_SHORT_REASON = 70


def summary(
    record: Record,
    report: str = "signoff.html",
    exit_code: int | None = None,
    beside: Beside = Beside(),  # noqa: B008 (frozen)
) -> list[RenderableType]:
    """Return what to print on a rich Console, without cropping: commands and paths may be wider than it.

    `report` is the path of signoff.html as the user can open it; empty if it could not be written. `exit_code` is that of
    the whole run; None: the decision's. `beside` is what the journal does not say of the next step.
    """
    known = cleaned(record)
    inside = grouping.in_scope(known)
    parts: list[RenderableType] = []
    against = grouping.held(known)
    bad = causes.grouped(grouping.not_good(inside, against), against)
    for (light, verdict), some in itertools.groupby(bad, key=lambda cause: _heading(cause, against)):
        parts.extend(_group(verdict, light, list(some), against))
    parts.extend(_counted(known, inside))
    parts.extend(_decision(known, exit_code))
    parts.extend(_next(known, leaving(report) if report else "", exit_code, beside))
    return parts


def text(
    record: Record,
    report: str = "signoff.html",
    *,
    width: int = 80,
    colour: bool = False,
    exit_code: int | None = None,
    beside: Beside = Beside(),  # noqa: B008 (frozen)
) -> str:
    """Return the summary as text, with colour codes only on request.

    Only a path or a single word of a command is longer than `width`: what people copy is never cut.
    """
    out = io.StringIO()
    console = Console(
        file=out,
        width=max(width, 40),
        force_terminal=colour,
        color_system="standard" if colour else None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    console.print(Group(*summary(record, report, exit_code, beside)), crop=False)
    # Trailing blanks of wrapped lines get in the way of copying.
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _heading(cause: Cause, against: Container[str]) -> tuple[bool, Verdict]:
    """Return the heading of a cause: whether it is only listed, and its verdict. Its most severe item counts."""
    first = cause.results[0]
    return bool(grouping.weight(first, against)[0]), first.verdict


def _group(
    verdict: Verdict, light: bool, known: list[Cause], against: Container[str]
) -> Iterator[RenderableType]:
    title = words.verdict(verdict) + (" (listed, does not hold)" if light else "")
    number = sum(len(cause.results) for cause in known)
    yield Line(Text(f"{title}: {number}", style=_STYLE[verdict]), align="left", characters="-", style="dim")
    said: dict[str, str] = {}
    for cause in known[:MOST_ITEMS]:
        until = grouping.deferred(cause.results[0], against)
        yield from _shared(cause, until) if cause.shared else _item(cause, until, said)
    if left := sum(len(cause.results) for cause in known[MOST_ITEMS:]):
        yield Text(f"  and {words.count(left, 'more item')}: all are in the report")


def _shared(cause: Cause, until: str) -> Iterator[RenderableType]:
    """Show items that share a cause: how many, why, and the command for all of them, else their ids."""
    verdict = cause.results[0].verdict
    head = Text("  ")
    head.append(words.verdict(verdict), style=_STYLE[verdict])
    head.append(f"  {causes.title(cause)}", style="bold")
    yield head
    yield _indented(cause.said, 6)
    commands = cause.commands(MOST_ITEMS)
    if not commands:
        yield Padding(Text(", ".join(cause.ids[:MOST_ITEMS]), overflow="fold"), (0, 0, 0, 6))
    for command in commands:
        yield _Command(command, 6)
    if len(cause.ids) > MOST_ITEMS:
        yield _indented(
            f"and {words.count(len(cause.ids) - MOST_ITEMS, 'more item')}: all are in the report", 6
        )
    if until:
        yield _indented(_deferred(until), 6)


class _Command:
    """A command to copy: broken between words, with a backslash at the end of each line, as a shell accepts it."""

    def __init__(self, text: str, by: int) -> None:
        self._words = re.findall(r"(?:'[^']*'|[^\s'])+", text)
        self._by = by

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        room = options.max_width - self._by - 4
        lines: list[str] = []
        for word in self._words:
            if lines and len(lines[-1]) + 1 + len(word) <= room:
                lines[-1] += f" {word}"
            else:
                lines.append(word)
        for n, line in enumerate(lines):
            indent = " " * (self._by + (2 if n else 0))
            end = " \\" if n < len(lines) - 1 else ""
            yield Text(f"{indent}{line}{end}", no_wrap=True, overflow="ignore")


def _item(cause: Cause, until: str, said: dict[str, str]) -> Iterator[RenderableType]:
    """Show an item: one head line, then each bad target with its reason, indented and wrapped.

    `said` maps reasons to items: a reason that several items share is printed once and referred to afterwards.
    """
    result = cause.results[0]
    head = Text(overflow="fold")
    head.append(words.verdict(result.verdict), style=_STYLE[result.verdict])
    head.append(f"  {result.item.severity.value}  ")
    head.append(result.item.id, style="bold")
    bad = grouping.bad_findings(result)
    if len(bad) == 1 and bad[0].target:
        head.append(f"  {bad[0].target}")
    # Indented as a whole: what follows a wrap is at the beginning of no line, where ours are.
    yield Padding(head, (0, 0, 0, 2))
    alike = {(finding.verdict, finding.reason) for finding in bad}
    if cause.only_attesting:
        yield _indented(cause.said, 6)
        for command in cause.commands():
            yield _Command(command, 6)
    elif len(bad) < 2 or (len(alike) == 1 and not any(finding.target for finding in bad)):
        yield _indented(_once(bad[0].reason if bad else result.reason, result.item.id, said), 6)
    else:
        yield from _targets(bad, result.item.id, said)
    if until:
        yield _indented(_deferred(until), 6)


def _deferred(until: str) -> str:
    return f"Deferred: does not hold until {until}; measure it again there."


def _targets(bad: tuple[Finding, ...], item: str, said: dict[str, str]) -> Iterator[RenderableType]:
    alike: dict[tuple[Verdict, str], list[str]] = {}
    for finding in bad:
        known = alike.setdefault((finding.verdict, finding.reason), [])
        if (target := finding.target or "(whole item)") not in known:
            known.append(target)
    groups = list(alike.items())
    for (verdict, reason), targets in groups[:MOST_TARGETS]:
        yield _indented(f"{words.listed(targets, most=MOST_TARGETS)} ({words.verdict(verdict)})", 6)
        yield _indented(_once(reason, item, said), 8)
    if left := sum(len(targets) for _, targets in groups[MOST_TARGETS:]):
        yield _indented(f"and {words.count(left, 'more target')}: all are in the report", 6)


def _once(reason: str, item: str, said: dict[str, str]) -> str:
    """Return a reason, or a reference to the item above that already gave the same long one."""
    first = said.setdefault(reason, item)
    if first == item or len(reason) <= _SHORT_REASON:
        return reason
    return f"the same as {first}: {words.shortened(reason, _SHORT_REASON)}"


def _indented(text: str, by: int) -> Padding:
    return Padding(Text(words.shortened(text, _MOST_REASON), overflow="fold"), (0, 0, 0, by))


def _counted(record: Record, inside: tuple[ItemResult, ...]) -> Iterator[RenderableType]:
    yield Line(characters="-", style="dim")
    found = words.tally_words(r.verdict for r in inside)
    yield Text(
        f"{words.count(len(inside), 'item')} in scope{': ' + found if found else ': nothing was measured'}."
    )
    groups = [g for g in grouping.by_phase(record) if g.outside]
    if groups:
        number = sum(len(g.outside) for g in groups)
        where = words.listed((g.phase.id for g in groups), most=12)
        yield Text(f"{words.count(number, 'item')} out of scope, not measured: {where}.")
    yield from _weaker(record)


def _weaker(record: Record) -> Iterator[RenderableType]:
    bearing, others = grouping.weakenings(record)
    if bearing:
        yield Text(f"{words.count(len(bearing), 'setting')} weaker than the checklist:")
        for weakening in bearing[:MOST_TARGETS]:
            yield _indented(weakening.text, 2)
        if len(bearing) > MOST_TARGETS:
            yield _indented(f"and {len(bearing) - MOST_TARGETS} more: all are in the report", 2)
    if others:
        yield Text(words.elsewhere(len(others), more=bool(bearing)) + ": see verdicts.json.")


def _decision(record: Record, exit_code: int | None) -> Iterator[RenderableType]:
    decision = record.decision
    yield Line(characters="=", style="dim")
    ended = ending.of_run(record, exit_code)
    head = Text(ended.headline, style=_LOOK_STYLE.get(ended.look, "bold red"))
    head.append(f": {ended.means[0].lower()}{ended.means[1:]}", style="bold")
    if decision is None:
        yield head
        return
    head.append(
        f" Scope {scope_words(record)}, change {record.change}, inventory {record.inventory}.",
        style="not bold",
    )
    yield head
    for rule in grouping.deciding(decision.rules, decision.outcome):
        yield _because(rule)
    for heading, rules in grouping.beside(decision.rules, decision.outcome):
        if others := [rule for rule in rules if rule.name != _COUNTED]:
            yield Text(f"{heading}:")
            yield from map(_because, others)
    yield Text(_exit(record, decision.exit_code if exit_code is None else exit_code))


def _exit(record: Record, code: int) -> str:
    """Say how the run ends; if that is not the decision's code, why."""
    if record.decision and code == record.decision.exit_code:
        return f"Exit code {exit_words(record)}."
    if code in ending.PYTEST_ENDINGS:
        return f"Exit code {code} (pytest: {ending.PYTEST_ENDINGS[code]}); the decision above still holds."
    return f"Exit code {code}: another plugin set it."


def _because(rule: Rule) -> RenderableType:
    unnamed = [item for item in rule.items if item not in rule.because]
    named = f" [{words.listed(unnamed, most=5)}]" if len(unnamed) == len(rule.items) > 0 else ""
    return _bullet(f"{rule.because}{named}")


def _bullet(text: str) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=3, justify="right")
    grid.add_column(overflow="fold")
    grid.add_row("-", Text(words.shortened(text, _MOST_REASON), overflow="fold"))
    return grid


def _next(record: Record, report: str, exit_code: int | None, beside: Beside) -> Iterator[RenderableType]:
    yield Text("")
    # A path is for copying: it stays on one line even if that is wider than the terminal.
    where = report or "none: it could not be written (reason above); an older report is not about this run"
    yield Text(f"Report: {where}", no_wrap=bool(report), overflow="ignore" if report else "fold")
    grid = Table.grid()
    grid.add_column(width=8)
    grid.add_column(overflow="fold")
    step = due(record, beside)
    if ending.beside_a_failure(record, exit_code):
        step = Due("again", "find out which plugin set the exit code, then run again.")
    grid.add_row("Next:", step.words)
    yield grid
    if step.command:
        yield _Command(step.command, 8)
