"""List what is not green and has no entry in the issue log yet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from pytest_deploygate.checklist import issue_log
from pytest_deploygate.checklist.issue_log import IssueLog, Stub
from pytest_deploygate.checklist.parser import Checklist
from pytest_deploygate.checklist.vocabulary import Issue
from pytest_deploygate.checks.people.judge.issue_log import BadItem, undocumented
from pytest_deploygate.cli.shared import arguments, journals, options, records, repository
from pytest_deploygate.cli.show import issue_list
from pytest_deploygate.decision.compose import CLOSING_TESTS
from pytest_deploygate.files import bounded
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Severity, Verdict, option_of, words_for_count
from pytest_deploygate.problems import nearest


@dataclass(frozen=True)
class _Bad:
    """Something that is not green, with what the log needs to know about its item.

    `rows`: it is a class of rows that differ after a migration, and how many they are; only an entry that names it counts.
    """

    what: BadItem
    severity: Severity
    phase: str
    rows: int | None = None

    def has_entry(self, entries: Sequence[Issue]) -> bool:
        """Tell whether an entry is about it."""
        if self.rows is None:
            return not undocumented([self.what], entries)
        return any((e.item, e.target) == (self.what.item, self.what.target) for e in entries)


@click.command()
@options.change
@options.out
@click.option("--phase", default="", metavar="PHASE", help="Only items of this phase.")
@click.option("--write", is_flag=True, help="Add a stub for each to issues/ID.yml.")
@options.as_json
@repository.repository
def issues(
    *,
    root: Path,
    checklist: Checklist,
    change: str,
    out: Path | None,
    phase: str,
    write: bool,
    as_json: bool,
) -> None:
    """List every item of the last run that is not green and has no entry in issues/ID.yml.

    An entry names owner, severity and decision (fix, accept, defer, rollback). A stub does not count until its
    TODOs are filled in.

    \b
    deploygate issues --change CHG-1234
    deploygate issues --change CHG-1234 --phase phase1 --write
    """
    arguments.check_change(change)
    folder = out or root / "deploygate-out" / change
    journals.read(folder)  # what is listed is computed from it
    phases = [known.id for known in checklist.phases]
    if phase and phase not in phases:
        raise click.UsageError(f"--phase {phase}: there is no such phase{nearest(phase, phases)}")
    log = issue_log.load(root, change, checklist)
    found = [bad for bad in _read(folder, change, checklist) if phase in ("", bad.phase)]
    missing = [bad for bad in found if not bad.has_entry(log.entries)]
    if write and missing:
        stubs = [Stub(b.what.item, b.what.target, b.severity, b.what.reason, b.rows) for b in missing]
        issue_log.append(root, change, stubs, records.present())
        log = issue_log.load(root, change, checklist)
    closed = [bad for bad in found if bad not in missing and _only_closed(bad, log)]
    stubs_left = [entry for entry in log.entries if entry.incomplete and entry.closed is None]
    say = _say_json if as_json else _say
    say(log, missing, closed, stubs_left, written=write)


def _only_closed(bad: _Bad, log: IssueLog) -> bool:
    mine = [entry for entry in log.entries if entry.about(bad.what.item, bad.what.target)]
    return bool(mine) and all(entry.closed is not None for entry in mine)


def _read(folder: Path, change: str, checklist: Checklist) -> list[_Bad]:
    path = folder / "verdicts.json"
    try:
        items = bounded.from_json(bounded.read(path, bounded.MADE))["items"]
        return list(_bad([item for item in items if item["in_scope"] or item["targets"]], checklist))
    except FileNotFoundError:
        raise click.UsageError(
            f"there is no {path}: run `pytest -m PHASE --inventory NAME{option_of(change)}` first"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise click.UsageError(f"{path} cannot be read; run the gate again, which rewrites it") from None


def _bad(items: list[dict[str, Any]], checklist: Checklist) -> Iterator[_Bad]:
    for item in items:
        verdict = Verdict(item["verdict"])
        known = checklist.get(item["id"])
        if known and known.about_the_log:
            yield from _classes(item)
            continue
        if verdict.good:
            continue
        targets = [t for t in item["targets"] if not Verdict(t["verdict"]).good]
        whole = {"target": "", "verdict": verdict, "reason": item["reason"], "deferred_to": ""}
        for target in targets or [whole]:
            found = Verdict(target["verdict"])
            if found is Verdict.INCONCLUSIVE and target["deferred_to"]:
                continue  # it is measured again in the phase that it is deferred to
            what = BadItem(item["id"], target["target"], found, target["reason"])
            yield _Bad(what, Severity(item["severity"]), item["phase"])


def _classes(item: dict[str, Any]) -> Iterator[_Bad]:
    """Yield the classes of rows that differ which an item about the log has found, and that are not documented."""
    for target in item["targets"]:
        if target.get("test", "").startswith(CLOSING_TESTS) or Verdict(target["verdict"]) is not Verdict.FAIL:
            continue
        said = {reading["name"]: reading["value"] for reading in target["measurements"]}
        if "rows" in said:
            reason = f"{words_for_count(int(said['rows']), 'row differs', 'rows differ')}, {said['example']}"
            what = BadItem(item["id"], target["target"], Verdict.FAIL, reason)
            yield _Bad(what, Severity(item["severity"]), item["phase"], int(said["rows"]))


def _say_json(
    log: IssueLog, missing: list[_Bad], closed: list[_Bad], stubs: list[Issue], *, written: bool
) -> None:
    told = {
        "log": log.file,
        "missing": [_plain(bad) for bad in missing],
        "written": len(missing) if written else 0,
        "closed_but_not_green": [_plain(bad) for bad in closed],
        "incomplete": [
            {"item": e.item, "target": e.target, "line": e.line, "fill_in": list(e.incomplete)} for e in stubs
        ],
    }
    click.echo(json.dumps(told, indent=1, ensure_ascii=False))


def _plain(bad: _Bad) -> dict[str, str]:
    return {
        "item": bad.what.item,
        "target": bad.what.target,
        "phase": bad.phase,
        "severity": bad.severity.value,
        "verdict": bad.what.verdict.value,
        "reason": bad.what.reason,
    }


def _say(
    log: IssueLog, missing: list[_Bad], closed: list[_Bad], stubs: list[Issue], *, written: bool
) -> None:
    for line in issue_list.lines([(bad.what, bad.severity) for bad in (*missing, *closed)]):
        click.echo(line)
    for entry in stubs:
        click.echo(f"{log.file}:{entry.line}: {entry.item} is a stub: fill in {', '.join(entry.incomplete)}")
    if closed:
        click.echo(f"{_number(closed)} closed in {log.file} but not green: open the entry again")
    if missing and written:
        click.echo(f"added {len(missing)} to {log.file}: fill in the TODOs and open a pull request")
    elif missing:
        click.echo(f"{_number(missing)} without an entry in {log.file}; --write adds stubs")
    elif not stubs and not closed:
        click.echo(
            f"everything that is not green has its entry in {log.file}"
            if log.exists
            else "nothing is missing"
        )


def _number(bad: list[_Bad]) -> str:
    return "1 is" if len(bad) == 1 else f"{len(bad)} are"
