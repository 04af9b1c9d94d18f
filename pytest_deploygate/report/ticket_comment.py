"""The comment with which a ticket gets the head of the journal, as text and as Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from pytest_deploygate.clients.tickets.ticket import File
from pytest_deploygate.report import ending, grouping, view, words
from pytest_deploygate.report.exports import markdown as exported
from pytest_deploygate.report.leaving import cleaned, leaving
from pytest_deploygate.report.record import Record

_MOST_REASONS = 8
_MOST_REASON = 400
_WIDTH = 90


def mark(head: str) -> str:
    """Return what makes our comment known: other people copy the head into tickets, too."""
    return f"deploygate attach: journal head {head}"


def plain(record: Record, files: Sequence[File], notes: Sequence[str] = ()) -> str:
    """Return the comment as text of at most some thousand characters."""
    return leaving("\n".join(_plain(cleaned(record), files, notes)))


def _plain(record: Record, files: Sequence[File], notes: Sequence[str]) -> Iterator[str]:
    ended, decision = ending.of(record), record.decision
    yield f"{ended.headline}: {ended.means}"
    yield ""
    yield f"Change     {record.change}, inventory {record.inventory}"
    yield f"Scope      {view.scope_words(record)}"
    if decision:
        yield f"Decided    {decision.at:%Y-%m-%d %H:%M:%S} UTC, exit code {view.exit_words(record)}"
    yield f"Items      {_counted(record)}"
    if record.roles:
        yield f"Must sign  {', '.join(record.roles)}"
    rules = grouping.deciding(decision.rules, decision.outcome) if decision else ()
    if rules:
        yield ""
        yield "Why:"
        for rule in rules[:_MOST_REASONS]:
            yield _bullet(words.shortened(rule.because, _MOST_REASON))
        if len(rules) > _MOST_REASONS:
            yield f"- and {len(rules) - _MOST_REASONS} more: all are in the report"
    yield ""
    yield "Attached:"
    for file in files:
        yield f"- {file.name}: {file.what}, {file.size:,} bytes"
        yield f"  SHA-256 {file.sha256}"
    yield from notes
    yield ""
    yield mark(record.provenance.journal_head)


def _bullet(text: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent="- ", subsequent_indent="  ", break_long_words=False)


def markdown(record: Record, files: Sequence[File], links: Sequence[str]) -> str:
    """Return the comment as Markdown, at most 65,536 characters. `links` lead to the files, by their names."""
    known = {link[1:].partition("]")[0]: link for link in links}
    lines = [exported.text(record).rstrip(), "", "| attached | what | bytes | SHA-256 |", "|---|---|---|---|"]
    for file in files:
        shown = known.get(file.name, f"`{file.name}`")
        lines.append(f"| {shown} | {file.what} | {file.size:,} | `{file.sha256}` |")
    return "\n".join([*lines, "", f"`{mark(record.provenance.journal_head)}`"]) + "\n"


def _counted(record: Record) -> str:
    inside = grouping.in_scope(record)
    found = words.tally_words(result.verdict for result in inside)
    return f"{words.count(len(inside), 'item')} in scope: {found or 'nothing was measured'}"
