"""A plan as text for 80 columns: a line for each item, then what is disruptive and what is missing.

What is missing has numbers, to which the lines refer: many items lack the same section.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from datetime import date
from zoneinfo import ZoneInfo

from rich import box
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pytest_deploygate.checklist import windows
from pytest_deploygate.cli.shared.planning import Attesting, LastTimes, PlannedItem, PlannedPhase, PlannedTest
from pytest_deploygate.fields.references import NO_FILE
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Kind, words_for

_WHO = {Kind.AUTOMATED: "machine", Kind.HYBRID: "both", Kind.MANUAL: "person"}
_MOST_ROLES = 2
_MOST_ITEMS = 12


@dataclass(frozen=True)
class Plan:
    """Everything that is printed. `absent` is what the run as a whole lacks: secrets, hosts, files.

    `without` says in one line which shipped items the checklist does without.
    """

    inventory: str
    change: str
    scope: str
    checklist: str
    t0: date | None
    zone: ZoneInfo | None
    phases: tuple[PlannedPhase, ...]
    last: LastTimes
    absent: tuple[str, ...]
    remarks: tuple[str, ...]
    notes: tuple[str, ...]
    wants_times: bool
    without: str = ""

    @property
    def items(self) -> tuple[PlannedItem, ...]:
        """All items in scope."""
        return tuple(item for phase in self.phases for item in phase.items)

    @property
    def totals(self) -> dict[str, int | float]:
        """Numbers over all items in scope."""
        items = self.items
        return {
            "items": len(items),
            "automated": sum(i.item.kind is Kind.AUTOMATED for i in items),
            "hybrid": sum(i.item.kind is Kind.HYBRID for i in items),
            "manual": sum(i.item.kind is Kind.MANUAL for i in items),
            "tests": sum(test.targets for test in {t.test: t for i in items for t in i.tests}.values()),
            "disruptive": sum(i.disruptive for i in items),
            "to_attest": sum(_must_attest(i) for i in items),
            "with_something_missing": sum(bool(i.missing) for i in items),
            "last_s": round(sum(i.last_s or 0.0 for i in items), 3),
        }


def text(plan: Plan, *, long: bool = False) -> str:
    """Return the plan as text; with colours only on a terminal. `long` names each test and what it lacks."""
    out = io.StringIO()
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    console = Console(
        file=out,
        width=max(60, min(shutil.get_terminal_size((80, 24)).columns, 120)),
        force_terminal=colour,
        color_system="standard" if colour else None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    for part in _parts(plan, long=long):
        console.print(part)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _parts(plan: Plan, *, long: bool) -> Iterator[RenderableType]:
    yield Text.assemble(
        ("Plan", "bold"),
        f" for {plan.scope or 'the whole checklist'}: inventory {plan.inventory}, change {plan.change}",
    )
    yield Text(_times_words(plan))
    yield Text("Nothing was run and nothing was connected to.", style="dim")
    lacking = _lacking(plan)
    numbers = {words: number for number, words in enumerate(lacking, start=1)}
    for phase in plan.phases:
        yield from _phase(phase, plan, {} if long else numbers)
    yield from _disruptive(plan)
    yield from _missing(plan, lacking)
    yield from _totals(plan)


def _times_words(plan: Plan) -> str:
    if plan.t0 is not None:
        return f"T-0 is {plan.t0:%A %Y-%m-%d}; times are in {plan.zone}"
    if plan.wants_times:
        return "No dates: the inventory has no timetable; add `timetable: {t0: 2026-12-01, timezone: Europe/Berlin}`"
    return "The checklist's headings name no times"


def _phase(phase: PlannedPhase, plan: Plan, numbers: Mapping[str, int]) -> Iterator[RenderableType]:
    """Show a phase. `numbers` are those of what is missing; empty: show each item in full."""
    head = Text("\n")
    head.append(phase.phase.id, style="bold")
    head.append(f"  {phase.phase.title}")
    yield head
    if phase.window and plan.zone:
        yield Text(f"  planned {windows.local_words(phase.window, plan.zone)}", style="cyan")
    elif phase.problem:
        yield Text(f"  ! {phase.problem}", style="yellow")
    elif phase.phase.window or phase.phase.day:
        yield Text(f"  planned {' '.join(filter(None, (phase.phase.day, phase.phase.window)))}", style="cyan")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=True, header_style="bold", show_edge=False)
    table.add_column("item", overflow="fold", max_width=26)
    table.add_column("who", width=7)
    what = (
        "what runs; who attests; ! missing, by number"
        if numbers
        else "what runs, who attests, what is missing"
    )
    table.add_column(what, overflow="fold", ratio=1)
    table.add_column("last", justify="right", width=7)
    for item in phase.items:
        last = "" if item.last_s is None else words_for(item.last_s)
        what_of = _brief(item, numbers) if numbers else _what(item)
        table.add_row(item.item.id, _WHO[item.item.kind], what_of, last)
    yield table


def _brief(planned: PlannedItem, numbers: Mapping[str, int]) -> Text:
    """Describe an item in one line."""
    if planned.not_applicable:
        return Text("not applicable", style="dim")
    said: list[Text] = []
    if planned.tests:
        disruptive = sum(test.disruptive for test in planned.tests)
        known = _count(len(planned.tests), "test")
        said.append(Text(known + (f", {disruptive} disruptive" if disruptive else "")))
    if planned.item.closing:
        said.append(Text(_closing_words(planned)))
    if planned.attesting and not planned.attesting.log:
        roles = planned.attesting.roles
        role = roles[0] + (", …" if len(roles) > 1 else "") if roles else "any role"
        done = planned.attesting.done
        said.append(Text("attested", style="green") if done else Text(f"attest: {role}", style="yellow"))
    if planned.waived:
        said.append(Text("waived", style="cyan"))
    if mine := sorted({numbers[words] for words in planned.missing if words in numbers}):
        said.append(Text(f"! {', '.join(map(str, mine))}", style="yellow"))
    return Text("; ").join(said)


def _closing_words(planned: PlannedItem) -> str:
    return "by the issue log" if planned.item.about_the_log else "by the signatures"


def _what(planned: PlannedItem) -> Text:
    lines: list[Text] = []
    if planned.not_applicable:
        return Text(f"not applicable: {planned.not_applicable}", style="dim")
    for test in planned.tests:
        lines.append(_test_words(test))
        lines += [Text(f"! {words.partition(';')[0]}", style="yellow") for words in test.missing]
    if planned.item.closing:
        lines.append(Text(_closing_words(planned)))
    if not planned.checked and planned.item.kind is not Kind.MANUAL:
        lines.append(Text("! this version has no check for it", style="yellow"))
    if planned.attesting:
        lines += _attesting_words(planned.attesting)
    if planned.waived:
        lines.append(Text(f"waived: {planned.waived}", style="cyan"))
    return Text("\n").join(lines)


def _test_words(test: PlannedTest) -> Text:
    words = Text(test.name)
    if test.targets > 1:
        words.append(f" ×{test.targets}", style="bold")
    if test.disruptive:
        words.append(" disruptive", style="bold red")
    return words


def _attesting_words(who: Attesting) -> Iterator[Text]:
    named = list(who.roles[:_MOST_ROLES]) + ["…"] * (len(who.roles) > _MOST_ROLES)
    roles = (" and " if who.all_of_them else " or ").join(named) if who.roles else "any role"
    if who.log:
        yield Text(f"attested by {who.reason}")
    elif who.done:
        yield Text(f"attested: {who.reason}", style="green")
    else:
        yield Text(f"attest: {roles}")
        yield Text(
            "! not attested" if who.verdict.value == "not_covered" else f"! {who.reason}", style="yellow"
        )


def _disruptive(plan: Plan) -> Iterator[RenderableType]:
    tests = {t.test: t for item in plan.items for t in item.tests if t.disruptive}
    if not tests:
        return
    yield Text("\nDisruptive", style="bold")
    for test in tests.values():
        yield _bullet(f"{test.test}{f'; else: {test.otherwise}' if test.otherwise else ''}")
    yield Text(f"  These tests run only with --allow-disruptive={plan.inventory}")


def _lacking(plan: Plan) -> dict[str, list[str]]:
    """Return what is missing, with the items that lack it; attestations apart."""
    said = " ".join(words for item in plan.items for words in item.missing)
    # A file that an item misses is listed with the item, which says how to make it.
    absent = (
        w for w in plan.absent if not (w.startswith(NO_FILE) and w.removeprefix(NO_FILE).strip() in said)
    )
    where: dict[str, list[str]] = {words: [] for words in absent}
    for item in plan.items:
        for words in item.missing:
            if not (item.attesting and words == item.attesting.reason):
                where.setdefault(words, []).append(item.item.id)
    return where


def _missing(plan: Plan, where: Mapping[str, list[str]]) -> Iterator[RenderableType]:
    nobody = [i.item.id for i in plan.items if _must_attest(i)]
    if not where and not nobody:
        return
    yield Text("\nMissing", style="bold")
    for number, (words, ids) in enumerate(where.items(), start=1):
        yield _numbered(number, f"{words}{f' ({_listed(ids)})' if ids else ''}")
    if nobody:
        yield _bullet(f"{_count(len(nobody), 'attestation')} ({_listed(nobody)}):")
        yield Text("    deploygate attest ITEM --role ROLE --name NAME --evidence FILE|URL")


def _must_attest(item: PlannedItem) -> bool:
    return bool(item.attesting and not item.attesting.done and not item.not_applicable)


def _totals(plan: Plan) -> Iterator[RenderableType]:
    t = plan.totals
    kinds = f"{t['automated']} automated, {t['hybrid']} hybrid, {t['manual']} manual"
    yield Text(
        f"\n{_count(int(t['items']), 'item')}: {kinds}; {_count(int(t['tests']), 'test')} to run.",
        style="bold",
    )
    if plan.last.problem:
        yield Text(f"How long the last run took is not known: {plan.last.problem}")
    elif plan.last.at is None:
        yield Text("Nothing has run here yet, so there is no estimate of the time.")
    else:
        known = sum(item.last_s is not None for item in plan.items)
        yield Text(
            f"The last run took {words_for(t['last_s'])} for {known} of them (change {plan.last.change}, "
            f"{plan.last.at:%Y-%m-%d %H:%M} UTC)."
        )
    if plan.notes:
        yield Text(f"Notes about the inventory ({len(plan.notes)}):")
        yield from map(_bullet, plan.notes)
    if plan.without:
        yield Text(f"{plan.checklist} is {plan.without}", overflow="fold")
    if plan.remarks:
        yield Text(f"Lines of {plan.checklist} to look at ({len(plan.remarks)}):")
        for remark in plan.remarks[:_MOST_ITEMS]:
            yield _bullet(remark)


def _bullet(words: str) -> RenderableType:
    return Padding(Text(f"- {words}", overflow="fold"), (0, 0, 0, 2))


def _numbered(number: int, words: str) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=5, justify="right")
    grid.add_column(overflow="fold")
    grid.add_row(f"{number}", Text(words, overflow="fold"))
    return grid


def _listed(ids: list[str]) -> str:
    more = f" and {len(ids) - _MOST_ITEMS} more" if len(ids) > _MOST_ITEMS else ""
    return ", ".join(ids[:_MOST_ITEMS]) + more


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
