"""Compute the exit status of a change's last run.

What runs in pytest's process can end it with any status: the journal has what was recorded.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from pytest_deploygate import journal
from pytest_deploygate.checklist.records import parse_time
from pytest_deploygate.cli.shared import interrupted, journals, options
from pytest_deploygate.cli.shared.refusals import Command, Refused
from pytest_deploygate.decision import rules, standing
from pytest_deploygate.journal import Entry, JournalError
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.report.leaving import leaving
from pytest_deploygate.signoff import folder as folders
from pytest_deploygate.signoff import verify

_INTERRUPTED = 2


@dataclass(frozen=True)
class _Outcome:
    """The exit code, the decision (empty: none) with its scope and the time of its run, and the reasons."""

    code: int
    decision: str
    scope: str
    began: datetime | None
    reasons: tuple[str, ...]


@click.command(cls=Command)
@options.change
@options.out
@click.option(
    "--since",
    metavar="TIME",
    help="The run must have begun at or after this time, e.g. 2026-03-04T10:00:00Z: an earlier one proves nothing about now.",
)
@options.as_json
def outcome(*, change: str, out: Path | None, since: str | None, as_json: bool) -> None:
    """Compute the exit status of a change's last run from its journal, and end with it.

    Whatever runs in pytest's process can end it with any status. The journal has what was recorded: end CI with this
    command. The exit codes are those of a run. 25: nothing was recorded, the run did not end, or the folder is not as
    it was recorded.

    \b
    deploygate outcome --change CHG-1234
    began=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    pytest -m phase2 --inventory prod --change CHG-1234
    deploygate outcome --change CHG-1234 --since "$began"
    """
    after = _time(since)
    found = _outcome(change, out, after)
    if as_json:
        plain = {
            "change": change,
            "decision": found.decision or None,
            "scope": found.scope or None,
            "began": found.began.isoformat() if found.began else None,
            "exit_code": found.code,
            "reasons": list(found.reasons),
        }
        click.echo(leaving(json.dumps(plain, indent=1, ensure_ascii=False)))
    else:
        said = f"{found.decision or 'no decision'}, exit code {found.code}"
        scope = f" ({found.scope}, begun {found.began:%Y-%m-%d %H:%M:%S} UTC)" if found.began else ""
        click.echo(leaving(f"change {change}: {said}{scope}"))
        for reason in found.reasons:
            click.echo(leaving(f"  - {' '.join(reason.split())}"))
    raise SystemExit(found.code)


def _time(text: str | None) -> datetime | None:
    try:
        return parse_time(text) if text else None
    except ValueError as error:
        raise Refused(f"--since {text}: {error}") from None


def _outcome(change: str, out: Path | None, since: datetime | None) -> _Outcome:
    folder = journals.place_of(change, out)
    if not (folder / journal.FILE).is_file():
        return _incomplete(
            f"nothing was recorded for the change {change}: there is no {folder / journal.FILE}"
        )
    folder = journals.folder_of(change, out)
    try:
        interrupted.finish(folder)
        entries = journals.read(folder)
        if not entries:
            return _incomplete(
                f"nothing was recorded for the change {change}: {folder / journal.FILE} is empty"
            )
        return _of(folder, entries, since)
    except journals.Damaged as damaged:
        return _incomplete(damaged.message)


def _of(folder: Path, entries: list[Entry], since: datetime | None) -> _Outcome:
    try:
        with journal.readable():
            last = journal.segments(entries)[-1]
            question = standing.question(entries, [], last.decision.at if last.decision else journal.utcnow())
            again = rules.decide(question)
            interrupted = any(
                e.kind == "end" and e.body.get("run") == last.run and e.body["interrupted"] for e in entries
            )
        taken = folders.take(folder)
    except (JournalError, folders.FolderError) as error:
        return _incomplete(str(error))
    if since is not None and last.started < since:
        return _incomplete(
            f"nothing was recorded since {since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC: the last run began "
            f"{last.started:%Y-%m-%d %H:%M:%S} UTC"
        )
    wrong = tuple(check.text for check in verify.recorded_checks(taken) if check.ok is False)
    if last.decision is None:
        return _Outcome(rules.EXIT_INCOMPLETE, "", question.scope, last.started, wrong)
    codes = {last.decision.exit_code, again.exit_code} | ({rules.EXIT_INCOMPLETE} if wrong else set())
    code = next(code for code in rules.EXIT_PRECEDENCE if code in codes)
    if interrupted and code == rules.EXIT_GO:
        code, wrong = _INTERRUPTED, (*wrong, "the run was interrupted")
    # What the run decided, unless its own findings say worse: the decision may have been tampered with, too.
    shown = again if code == again.exit_code != last.decision.exit_code else last.decision
    reasons = tuple(rule.because for rule in shown.rules if rule.says is shown.outcome)
    return _Outcome(code, shown.outcome.value, question.scope, last.started, (*wrong, *reasons))


def _incomplete(why: str) -> _Outcome:
    return _Outcome(rules.EXIT_INCOMPLETE, "", "", None, (why,))
