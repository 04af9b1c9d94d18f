"""Judge whether differences are documented: each class has an entry with owner, decision and number of rows."""

from __future__ import annotations

from pytest_deploygate.checklist.vocabulary import Issue
from pytest_deploygate.checks.discrepancies.facts import DifferenceClass, Discrepancies, Documented, OneClass
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, words_for

__all__ = ["classes", "judge", "judge_class"]
#: A decision covers so many more rows than it names: rows that were looked at again may be a few more.
_SLACK = 1.1
_LONGEST = 60


def classes(found: Discrepancies) -> list[OneClass]:
    """Return the classes that were found, each to be judged by itself."""
    return [OneClass(one, found.file) for one in found.classes]


def judge(found: Discrepancies, expected: Documented) -> Judgement:
    """Pass if a finished comparison of the frozen source wrote all that differs; whether that is documented is judged by class."""
    said = Collector()
    age = words_for((found.now - found.compared_at).total_seconds())
    when = f"{found.compared_at:%Y-%m-%d %H:%M} UTC"
    said.read(
        Reading("rows compared", found.rows),
        Reading("rows that differ", found.differences),
        Reading("classes of differences", len(found.classes)),
    )
    early = expected.not_before is not None and found.compared_at < expected.not_before
    limit = f"after {expected.not_before:%Y-%m-%d %H:%M %Z}" if expected.not_before else ""
    said.read(Reading("compared at", when, limit=limit, ok=None if early or not limit else True))
    if early:
        said.unknown(
            f"rows were compared at {when}, before the source was frozen ({limit.removeprefix('after ')}): compare them again"
        )
    said.unknown(*found.unfinished)
    if found.cut:
        said.unknown(
            f"{found.file} ends at {found.cut} lines, and there are more differences: their classes are not known; "
            "raise `migration.budget.max_written` and compare again"
        )
    if not found.rows and not found.differences:
        said.unknown("the last comparison read no rows", deferred_to="phase4")
    for entry in expected.entries:
        if entry.target and entry.closed is None and not any(c.name == entry.target for c in found.classes):
            said.note(
                f"{expected.file}:{entry.line}: {entry.target} was not found any more: set `closed`, or correct its `target`"
            )
    return said.judgement(
        lambda: (
            f"no row of {found.rows} in {found.tables} tables differs, compared {age} ago ({when}): nothing to document"
            if not found.differences
            else f"{found.differences} rows that differ, in {len(found.classes)} classes, are all in {found.file}, "
            f"compared {age} ago ({when})"
        )
    )


def judge_class(found: OneClass, expected: Documented) -> Judgement:
    """Pass if an open, complete entry of the issue log is about this class and about so many rows."""
    one = found.of
    said = Collector(about=f"{_rows(one.rows)} of {one.name} ({_example(one)})", confirmed=True)
    mine = [entry for entry in expected.entries if entry.target == one.name]
    good = [entry for entry in mine if not _lacking(entry)]
    decided = max((entry.rows for entry in good if entry.rows is not None), default=0)
    enough = one.rows <= int(decided * _SLACK)
    said.read(
        Reading("rows", one.rows, limit=f"{decided} decided" if good else "documented", ok=enough),
        Reading("example", _example(one)),
        *(Reading("decision", f"{entry.decision}, owner {entry.owner}") for entry in good[:1]),
    )
    if enough:
        entry = max(good, key=lambda e: e.rows or 0)
        where = f"{expected.file}:{entry.line}"
        said.note(f"{entry.decision} ({entry.owner}): {entry.summary}")
        return said.judgement(
            lambda: (
                f"{_rows(one.rows)} of {one.name}: {entry.decision}, owner {entry.owner}, for {decided} rows ({where})"
            )
        )
    if good:
        said.wrong(
            f"{expected.file}:{good[0].line} was decided for {decided} rows: look at the others in {found.file}, then write "
            f"`rows: {one.rows}` or correct them"
        )
    elif mine:
        entry = mine[0]
        said.wrong(f"{expected.file}:{entry.line} {_lacking(entry)}")
    elif expected.aside:
        said.wrong(f"{expected.file} does not count: {expected.aside}")
    else:
        said.wrong(
            f"no owner and no decision in {expected.file}; all rows are in {found.file}; "
            f"`{expected.command}` adds an entry to be filled in"
        )
    return said.judgement(str)


def _lacking(entry: Issue) -> str:
    """Say what an entry lacks to count; empty if nothing."""
    if entry.incomplete:
        return f"is a stub: fill in {', '.join(entry.incomplete)}"
    if entry.closed is not None:
        return "is closed, but these rows differ still: remove `closed`, or correct them and compare again"
    if entry.rows is None:
        return "does not say for how many rows it was decided: add `rows`"
    return ""


def _rows(number: int) -> str:
    return "1 row" if number == 1 else f"{number} rows"


def _example(one: DifferenceClass) -> str:
    where = f"key {_short(one.key)}" if one.key else "a row without a key"
    if not one.column:
        return f"for example {where}" + ("" if one.key else f": {_short(one.source or one.target or '')}")
    return f"for example {where}: {_value(one.target)} instead of {_value(one.source)}"


def _value(text: str | None) -> str:
    return "NULL" if text is None else f"'{_short(text)}'"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
