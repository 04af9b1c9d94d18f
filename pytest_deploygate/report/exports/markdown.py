"""A summary in Markdown for CI: GitHub's step summary (1 MiB) and comments (65,536 characters), GitLab notes.

Values are text: nothing in them becomes markup, a link, a mention or a column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.report import causes, ending, grouping, view, words
from pytest_deploygate.report.causes import Cause
from pytest_deploygate.report.leaving import cleaned
from pytest_deploygate.report.record import Record

#: Maximum size of the text in bytes: the limit of a comment, less what a tool adds around it.
LIMIT = 60_000
_SPECIAL = re.compile(r"([\\`*_{}\[\]#!|~$^])")
_MOST_REASON = 300
#: Items of one cause that are named.
_MOST_NAMED = 60


def text(record: Record) -> str:
    """Return the summary. Rows that do not fit are counted in its last line."""
    known = cleaned(record)
    head, tail = "\n".join(_head(known)), "\n".join(_tail(known))
    against = grouping.held(known)
    bad = grouping.not_good(grouping.in_scope(known), against)
    rows: list[str] = []
    shown = 0
    room = LIMIT - len(head.encode()) - len(tail.encode()) - 200
    for cause in causes.grouped(bad, against):
        row = _shared(cause) if cause.shared else _row(cause.results[0])
        room -= len(row.encode()) + 1
        if room < 0:
            break
        rows.append(row)
        shown += len(cause.results)
    table = ["| item | severity | verdict | why |", "|---|---|---|---|", *rows] if rows else []
    more = (
        [f"\n…and {words.count(len(bad) - shown, 'more item')}: all are in the report."]
        if shown < len(bad)
        else []
    )
    return "\n".join([head, *table, *more, tail]) + "\n"


def escaped(said: str, most: int = _MOST_REASON) -> str:
    """Return a text that Markdown shows unchanged, on one line."""
    safe = words.shortened(said, most).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    safe = _SPECIAL.sub(r"\\\1", safe)
    # A mention would notify somebody, and a bare address would become a link.
    return safe.replace("@", "@\u200b").replace("://", ":\u200b//").replace("www.", "www\u200b.")


def _head(record: Record) -> Iterator[str]:
    decision = record.decision
    ended = ending.of(record)
    yield f"## {ended.headline}: {ended.means}"
    yield ""
    yield (
        f"Scope **{escaped(view.scope_words(record))}**, change **{escaped(record.change)}**, "
        f"inventory **{escaped(record.inventory)}**. Exit code {view.exit_words(record)}."
    )
    yield ""
    for rule in grouping.deciding(decision.rules, decision.outcome) if decision else ():
        yield f"- {escaped(rule.because, 600)}"
    inside = grouping.in_scope(record)
    counted = ", ".join(f"**{n:,}** {words.verdict(v)}" for v, n in words.tally(r.verdict for r in inside))
    yield ""
    yield f"{words.count(len(inside), 'item')} in scope: {counted or 'nothing was measured'}."
    yield ""


def _row(result: ItemResult) -> str:
    verdict = words.verdict(result.verdict)
    return f"| {escaped(result.item.id, 120)} | {result.item.severity.value} | {verdict} | {escaped(result.reason)} |"


def _shared(cause: Cause) -> str:
    """Return one row for all items of a cause, with the command that resolves it, else with their ids."""
    commands = " and ".join(cause.commands(_MOST_NAMED))
    named = "" if commands else f": {words.listed(cause.ids, most=_MOST_NAMED)}"
    why = f"{escaped(cause.said)}: {escaped(commands, 2000)}" if commands else escaped(cause.said)
    items = escaped(f"{words.count(len(cause.ids), 'item')}{named}", 2000)
    verdict = words.verdict(cause.results[0].verdict)
    return f"| {items} | {cause.severities} | {verdict} | {why} |"


def _tail(record: Record) -> Iterator[str]:
    outside = sum(1 for r in record.items if not r.in_scope)
    yield ""
    if outside:
        yield f"{words.count(outside, 'item')} of the checklist out of scope, not measured.  "
    bearing, others = grouping.weakenings(record)
    if bearing:
        yield f"{words.count(len(bearing), 'setting')} weaker than the checklist.  "
    if others:
        yield f"{words.elsewhere(len(others), more=bool(bearing))}.  "
    if record.roles:
        yield f"Must sign: {', '.join(map(escaped, record.roles))}.  "
    yield f"{escaped(record.provenance.tool)}, journal head `{escaped(record.provenance.journal_head[:16])}`"
