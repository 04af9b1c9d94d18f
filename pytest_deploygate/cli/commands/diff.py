"""Compare the last runs of two changes."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from pathlib import Path

import click

from pytest_deploygate import journal
from pytest_deploygate.cli.shared import folders, journals, options
from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.cli.shared.root import find_root
from pytest_deploygate.decision import condensed
from pytest_deploygate.report import changes, from_journal, words
from pytest_deploygate.report.changes import Change, Kind
from pytest_deploygate.report.leaving import leaving
from pytest_deploygate.report.record import Record

#: Kinds for which `--exit-code` exits with 1: something got worse, or less is known than before.
_WORSE = frozenset({Kind.FAILING, Kind.UNCOVERED, Kind.UNKNOWN})


@click.command()
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option(
    "--exit-code", is_flag=True, help="Exit 1 if an item newly fails, is not covered or is inconclusive."
)
@options.as_json
def diff(before: str, after: str, as_json: bool, exit_code: bool) -> None:
    """Compare the last runs of A and B: each a change id or a folder with a journal. Exit 25: a journal is damaged.

    Only items in the scope of both are compared. A number counts as moved when it lies outside its noise: with 4 or
    more earlier values in both journals, three scaled median absolute deviations and at least 5 %; with fewer, a
    fixed bound of 20 %. Each line says which of the two was applied.

    \b
    deploygate diff CHG-1200 CHG-1234
    deploygate diff rehearsal/ deploygate-out/CHG-1234 --json
    """
    old, earlier = _read(before)
    new, later = _read(after)
    known: defaultdict[tuple[str, str, str], list[float]] = defaultdict(list)
    for key, values in itertools.chain(earlier.items(), later.items()):
        known[key] += values
    found = changes.compare(_side(old), _side(new), known)
    if as_json:
        click.echo(json.dumps(_plain(before, after, old, new, found), ensure_ascii=False, indent=1))
    else:
        _print(before, after, old, new, found)
    if exit_code and any(change.kind in _WORSE for change in found):
        raise SystemExit(1)


def _read(named: str) -> tuple[Record, condensed.Numbers]:
    """Read a change with the numbers of its earlier runs. Raises Refused (exit 4), Damaged (25)."""
    path = Path(named)
    folder = path if (path / journal.FILE).is_file() else folders.of(named, None, find_root(Path.cwd()))
    entries = journals.read(folder)
    if not entries:
        raise Refused(f"{folder} has no journal: nothing to compare")
    with journals.plainly():
        record = from_journal.build(entries)
        return record, condensed.numbers(entries, journal.segments(entries)[-1])


def _side(record: Record) -> changes.Side:
    return changes.Side(record.items, record.waivers, record.weakenings)


def _outcome(record: Record) -> str:
    return record.decision.outcome.value if record.decision else "no decision"


def _plain(before: str, after: str, old: Record, new: Record, found: tuple[Change, ...]) -> dict[str, object]:
    return {
        "before": {"change": old.change, "from": before, "scope": old.scope, "decision": _outcome(old)},
        "after": {"change": new.change, "from": after, "scope": new.scope, "decision": _outcome(new)},
        "compared": len(_common(old, new)),
        "changes": [
            {
                "kind": change.kind.name.lower(),
                "item": change.item,
                "target": leaving(change.target),
                "was": leaving(change.was),
                "now": leaving(change.now),
                "text": leaving(change.text),
            }
            for change in found
        ],
    }


def _common(old: Record, new: Record) -> set[str]:
    inside = {result.item.id for result in old.items if result.in_scope}
    return inside & {result.item.id for result in new.items if result.in_scope}


def _print(before: str, after: str, old: Record, new: Record, found: tuple[Change, ...]) -> None:
    click.echo(f"{before} ({_outcome(old)}) → {after} ({_outcome(new)})")
    common = len(_common(old, new))
    click.echo(f"{words.count(common, 'item')} in the scope of both runs were compared.")
    if not common:
        click.echo("Nothing could be compared: the two runs have no item in common.")
    elif not found:
        click.echo("Nothing changed beyond noise.")
    for kind, some in itertools.groupby(found, key=lambda change: change.kind):
        listed = list(some)
        click.echo(f"\n{kind.value.capitalize()}: {len(listed)}")
        for change in listed:
            click.echo(f"  {leaving(' '.join(change.text.split()))}")
