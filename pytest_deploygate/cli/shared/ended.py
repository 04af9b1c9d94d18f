"""How a change's last run ended, computed from its journal: whatever runs in pytest can end it with any status."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pytest_deploygate import journal
from pytest_deploygate.checklist.records import parse_time
from pytest_deploygate.cli.shared import interrupted, journals
from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.decision import rules, standing
from pytest_deploygate.journal import Entry, JournalError
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.signoff import folder as folders
from pytest_deploygate.signoff import verify

_INTERRUPTED = 2


@dataclass(frozen=True)
class Outcome:
    """The exit code, the decision (empty: none) with its scope and the time of its run, and the reasons.

    `shard`: it speaks for a part of a run only.
    """

    code: int
    decision: str
    scope: str
    began: datetime | None
    reasons: tuple[str, ...]
    shard: bool = False


def time_of(text: str | None) -> datetime | None:
    """Return the time that --since names. Raises Refused."""
    try:
        return parse_time(text) if text else None
    except ValueError as error:
        raise Refused(f"--since {text}: {error}") from None


def of_change(change: str, out: Path | None, since: datetime | None) -> Outcome:
    """Compute the outcome of a change's last run, if it began at or after a time."""
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


def _of(folder: Path, entries: list[Entry], since: datetime | None) -> Outcome:
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
        return Outcome(rules.EXIT_INCOMPLETE, "", question.scope, last.started, wrong)
    codes = {last.decision.exit_code, again.exit_code} | ({rules.EXIT_INCOMPLETE} if wrong else set())
    code = next(code for code in rules.EXIT_PRECEDENCE if code in codes)
    if interrupted and code == rules.EXIT_GO:
        code, wrong = _INTERRUPTED, (*wrong, "the run was interrupted")
    # What the run decided, unless its own findings say worse: the decision may have been tampered with, too.
    shown = again if code == again.exit_code != last.decision.exit_code else last.decision
    reasons = tuple(rule.because for rule in shown.rules if rule.says is shown.outcome)
    return Outcome(
        code,
        shown.outcome.value,
        question.scope,
        last.started,
        (*wrong, *reasons),
        shard="shard" in last.begin,
    )


def _incomplete(why: str) -> Outcome:
    return Outcome(rules.EXIT_INCOMPLETE, "", "", None, (why,))
