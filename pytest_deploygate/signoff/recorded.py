"""Checks of the record: the hash chain of the journal, the evidence, the result files, people's records."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest_deploygate
from pytest_deploygate import journal
from pytest_deploygate.checklist import attestations, waivers
from pytest_deploygate.checklist.parser import slug
from pytest_deploygate.decision import standing, unfinished
from pytest_deploygate.files import bounded, sha256
from pytest_deploygate.journal import Entry, JournalError
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Decision
from pytest_deploygate.signoff import attested, folder
from pytest_deploygate.signoff.folder import REPORT, RESULTS, Taken
from pytest_deploygate.signoff.result import BROKEN, Check

_SHOWN = 3
#: Folders whose files influence verdicts.
_BINDING = (attestations.FOLDER, waivers.FOLDER)


@dataclass(frozen=True)
class Stands:
    """What a journal with an intact chain says: change, scope and decision of its last run, and who must sign."""

    entries: tuple[Entry, ...]
    change: str
    inventory: str
    scope: str
    decision: Decision | None
    roles: tuple[str, ...]
    version: str

    @property
    def head(self) -> str:
        """The hash of the last line."""
        return self.entries[-1].sha256

    @property
    def outcome(self) -> str:
        """GO, HOLD or ROLLBACK; empty if the run ended without a decision."""
        return self.decision.outcome.value if self.decision else ""

    @property
    def same_version(self) -> bool:
        """True if this version of the tool wrote the results, so that it can render them again."""
        return self.version == pytest_deploygate.__version__


def read(taken: Taken) -> Stands:
    """Read the journal. Raises JournalError if it is missing, its chain is broken, or it has no readable run."""
    path = taken.folder / journal.FILE
    if taken.journal is None:
        raise JournalError(f"there is no journal {path}")
    with shaped(path):
        return _read(folder.chain(taken.journal, path), path)


@contextlib.contextmanager
def shaped(path: Path) -> Iterator[None]:
    """Turn malformed journal content into a JournalError: a forger may write anything."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        raise JournalError(f"{path} has an entry that this version cannot read: {error!r}") from None


def _read(entries: tuple[Entry, ...], path: Path) -> Stands:
    runs = journal.segments(entries)
    if not runs:
        raise JournalError(f"{path} has no run")
    about, decision = standing.frame(runs[-1].begin), runs[-1].decision
    return Stands(
        entries=entries,
        change=about.change,
        inventory=about.inventory,
        scope=decision.scope if decision else about.expression or standing.WHOLE,
        decision=decision,
        roles=tuple(dict.fromkeys(map(slug, about.roles))),
        version=str(runs[-1].begin.get("versions", {}).get("pytest-deploygate", "")),
    )


def of_change(stands: Stands, change: str) -> Iterator[Check]:
    """Check that all runs in the folder are of one change, the one that was asked for (empty: any)."""
    written = list(dict.fromkeys(str(e.body.get("change", "")) for e in stands.entries if e.kind == "run"))
    if len(written) > 1:
        text = f"the folder has runs of {len(written)} changes: {', '.join(written)}; it is the record of none of them"
        yield Check("change", False, text, BROKEN)
    elif change and written != [change]:
        text = f"the folder was written for the change {written[0]}, not for {change}: it is a copy, or was renamed"
        yield Check("change", False, text, BROKEN)
    else:
        yield Check("change", True, f"the folder was written for the change {written[0]}")


def finished(taken: Taken, stands: Stands) -> Iterator[Check]:
    """Check that no command was interrupted before it recorded all that it had to, and name the one that finishes it."""
    try:
        with shaped(taken.folder / journal.FILE):
            text = unfinished.words(stands.entries, stands.change, stands.inventory)
    except JournalError as error:
        text = str(error)
    if text:
        yield Check("finished", False, text, BROKEN)


def evidence(taken: Taken, stands: Stands) -> Iterator[Check]:
    """Compare every evidence file that a finding names, including earlier runs, with its digest."""
    try:
        with shaped(taken.folder / journal.FILE):
            named = _named(stands.entries)
    except JournalError as error:
        yield Check("evidence", False, str(error), BROKEN)
        return
    wrong = [text for path, digests in named.items() if (text := _wrong(path, digests, taken.evidence))]
    for text in wrong:
        yield Check("evidence", False, text, BROKEN)
    if not wrong:
        yield Check("evidence", True, f"{len(named)} evidence files are as recorded")
    if extra := sorted(set(taken.evidence) - set(named)):
        more = f" and {len(extra) - _SHOWN} more" if len(extra) > _SHOWN else ""
        yield Check(
            "evidence", None, f"no finding names {', '.join(extra[:_SHOWN])}{more}: not part of the record"
        )


def _named(entries: tuple[Entry, ...]) -> dict[str, set[str]]:
    """Return the digests recorded for each evidence file (more than one if findings contradict each other)."""
    named: dict[str, set[str]] = {}
    for entry in entries:
        for found in entry.body.get("findings", ()) if entry.kind == "test" else ():
            for one in found["evidence"]:
                named.setdefault(str(one["path"]), set()).add(str(one["sha256"]))
    return named


def _wrong(path: str, digests: set[str], there: Mapping[str, str]) -> str:
    if not folder.inside(path):
        return f"{path}: a finding names evidence outside the folder"
    if path not in there:
        return f"{path} is missing"
    if digests != {there[path]}:
        return f"{path} was altered: its SHA-256 is {there[path][:12]}…, recorded is {min(digests)[:12]}…"
    return ""


def results(taken: Taken, stands: Stands) -> Iterator[Check]:
    """Render the result files again from the journal and compare them, if this version wrote them."""
    for name in RESULTS:
        if name not in taken.results:
            text = f"{name} is missing (`deploygate report --change {stands.change}` writes it again)"
            yield Check(_check_name(name), False, text, BROKEN)
    if not stands.same_version:
        yield Check(
            "results",
            None,
            f"not rendered again: pytest-deploygate {stands.version or 'of an unknown version'} wrote them, this is "
            f"{pytest_deploygate.__version__}; only signed digests are compared",
        )
        return
    try:
        with shaped(taken.folder / journal.FILE):
            again = folder.rendered(taken.journal or b"", taken.folder / journal.FILE)
    except JournalError as error:
        yield Check("results", False, f"they cannot be rendered from the journal: {error}", BROKEN)
        return
    for name, raw in taken.results.items():
        if raw == again[name]:
            yield Check(_check_name(name), True, f"{name} matches the journal byte for byte")
        else:
            where = _first_difference(raw, again[name])
            yield Check(
                _check_name(name),
                False,
                f"{name} does not match the journal: line {where} was altered, or the command that wrote the journal's last "
                f"line ({_last(stands)}) was interrupted before it wrote the results: "
                f"`deploygate report --change {stands.change}` writes them again",
                BROKEN,
            )


def _last(stands: Stands) -> str:
    entry = stands.entries[-1]
    return f"{entry.kind}, {entry.at:%Y-%m-%d %H:%M:%S} UTC"


def _check_name(name: str) -> str:
    return "report" if name == REPORT else name


def _first_difference(one: bytes, other: bytes) -> int:
    """Return the number of the first line that differs."""
    lines = zip(one.split(b"\n"), other.split(b"\n"), strict=False)
    shorter = min(one.count(b"\n"), other.count(b"\n")) + 1
    return next((number for number, (a, b) in enumerate(lines, start=1) if a != b), shorter)


def records(stands: Stands, root: Path | None) -> Iterator[Check]:
    """Compare the attestations and waivers that the last run used (`records` of its entry: SHA-256 by path) with the
    files below `root`. The issue log is edited after a run as well, so a change of it is only a note.
    """
    begin = [entry for entry in stands.entries if entry.kind == "run"][-1].body
    named = begin.get("records") or {}
    if not isinstance(named, Mapping):
        yield Check(
            "records", False, "the journal lists the records in a form that this tool never writes", BROKEN
        )
        return
    if named and root is None:
        yield Check(
            "records", None, f"not checked: {len(named)} records are in the repository, which is not here"
        )
    if not named or root is None:
        return
    wrong = {path: text for path, sha in named.items() if (text := _record_wrong(root, str(path), str(sha)))}
    for path, text in wrong.items():
        binding = str(path).split("/")[0] in _BINDING or not folder.inside(str(path))
        yield Check("records", False if binding else None, text, BROKEN if binding else 0)
    told = [
        str(path) for path in named if str(path).startswith(f"{attestations.FOLDER}/") and path not in wrong
    ]
    try:
        with shaped(Path(journal.FILE)):
            wrong_evidence = list(attested.altered(root, told, attested.counted(stands.entries)))
    except JournalError as error:
        wrong_evidence = [str(error)]
    for text in wrong_evidence:
        yield Check("records", False, text, BROKEN)
    if not wrong and not wrong_evidence:
        yield Check("records", True, f"{len(named)} attestations, waivers and other records are as recorded")


def _record_wrong(root: Path, path: str, sha: str) -> str:
    if not folder.inside(path):
        return f"{path}: the journal names a record outside the repository"
    try:
        there = sha256(bounded.read(root / path))
    except (FileNotFoundError, NotADirectoryError):
        return f"{path} is missing below {root}; the run used it"
    except OSError as error:
        return f"{path} cannot be read ({error.strerror}); the run used it"
    return "" if there == sha else f"{path} was changed since the run used it"
