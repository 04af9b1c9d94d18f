"""The issue log of a change, `issues/<change>.yml`: what was not green, its owner, severity and what was decided.

An entry with a placeholder (`owner: TODO`) is a stub: it can be loaded, but it is incomplete and documents nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from yaml.nodes import SequenceNode

from pytest_deploygate.checklist.parser import Checklist
from pytest_deploygate.checklist.records import (
    NEVER,
    Document,
    Fields,
    RecordsError,
    is_placeholder,
    item_problem,
    parse,
    read_file,
)
from pytest_deploygate.checklist.vocabulary import CLOCK_SLACK, SEVERITIES, Issue, time_words
from pytest_deploygate.files import bounded, write_whole
from pytest_deploygate.files.yaml import dumped
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Severity
from pytest_deploygate.problems import Problem

FOLDER = "issues"


DECISIONS = ("fix", "accept", "defer", "rollback")
TODO = "TODO"
_KEYS = ("item", "target", "owner", "severity", "decision", "summary", "opened", "closed", "rows")
_EXAMPLE = "item: phase1.logs"


@dataclass(frozen=True)
class IssueLog:
    """The log of one change. `exists` is false if there is no file; an empty list states that there were no issues.

    `aside` says why there is a file that does not count; `exists` is then false.
    """

    file: str
    exists: bool
    entries: tuple[Issue, ...] = ()
    sha256: str = ""
    aside: str = ""


def load(root: Path, change: str, checklist: Checklist, *, now: datetime | None = None) -> IssueLog:
    """Read the log of a change. Raises RecordsError with every problem; stubs are allowed."""
    shown = f"{FOLDER}/{change}.yml"
    path = root / shown
    if not path.exists():
        return IssueLog(shown, exists=False)
    problems: list[Problem] = []
    document = read_file(path, shown, problems)
    entries = _entries(document, checklist, now or datetime.now(UTC), problems) if document else []
    if problems or document is None:
        raise RecordsError(problems)
    return IssueLog(shown, True, tuple(entries), document.sha256)


def _entries(document: Document, checklist: Checklist, now: datetime, problems: list[Problem]) -> list[Issue]:
    if document.node is None:
        return []
    if not isinstance(document.node, SequenceNode):
        problems.append(Problem(document.file, 1, f"must be a list of entries, for example `- {_EXAMPLE}`"))
        return []
    known = [item.id for item in checklist.items]
    entries = []
    for node in document.node.value:
        fields = Fields(node, document.file, _KEYS, problems, _EXAMPLE)
        entry = _entry(fields, known, now)
        if entry is not None:
            entries.append(entry)
    return entries


def _entry(fields: Fields, known: Sequence[str], now: datetime) -> Issue | None:
    item = fields.text("item", need="id of the item that is not green")
    if item and (why := item_problem(item, known)):
        fields.wrong("item", why)
    texts = {key: fields.text(key) for key in ("owner", "severity", "decision", "summary")}
    incomplete = tuple(key for key, value in texts.items() if not value or is_placeholder(value))
    for key, valid in (("severity", SEVERITIES), ("decision", DECISIONS)):
        if key not in incomplete:
            fields.choice(key, valid)
    opened, closed = fields.time("opened", need="when it was found"), fields.time("closed")
    if NEVER not in (opened, closed) and closed < opened:
        fields.wrong("closed", f"{time_words(closed)} is before `opened`, {time_words(opened)}")
    for key, when in (("opened", opened), ("closed", closed)):
        if when > now + CLOCK_SLACK:
            fields.wrong(key, f"{time_words(when)} is in the future (now: {time_words(now)})")
    rows = fields.text("rows")
    if rows and not re.fullmatch(r"[1-9]\d{0,17}", rows):
        fields.wrong("rows", f"{rows!r} is no number of rows, such as 24")
    if not fields.ok:
        return None
    return Issue(
        item=item,
        target=fields.text("target"),
        owner=texts["owner"],
        severity=texts["severity"],
        decision=texts["decision"],
        summary=texts["summary"],
        opened=opened,
        closed=None if closed == NEVER else closed,
        line=fields.line,
        incomplete=incomplete,
        rows=int(rows) if rows else None,
    )


@dataclass(frozen=True)
class Stub:
    """An entry to be written for somebody to complete."""

    item: str
    target: str
    severity: Severity
    summary: str
    rows: int | None = None


def append(root: Path, change: str, stubs: Sequence[Stub], now: datetime) -> Path:
    """Append stubs to a change's log; its content stays unchanged. Returns the file.

    Raises RecordsError if the file is not a plain list or cannot be written; it is then left unchanged.
    """
    shown = f"{FOLDER}/{change}.yml"
    path = root / shown
    problems: list[Problem] = []
    before = read_file(path, shown, problems) if path.exists() else None
    node = before.node if before else None
    if problems or not (node is None or isinstance(node, SequenceNode)):
        raise RecordsError(problems or [Problem(shown, 1, f"must be a list of entries, like `- {_EXAMPLE}`")])
    old = bounded.text(path) if before else ""
    count = len(node.value) if node is not None else 0
    indent = 0
    if node is not None and node.flow_style:
        if count:
            raise RecordsError([Problem(shown, 1, "write one entry per line (`- item: …`), not in brackets")])
        old = old[: node.start_mark.index] + old[node.end_mark.index :]
    elif node is not None:
        indent = node.start_mark.column
    text = "".join(_stub_text(stub, indent, now) for stub in stubs)
    new = (old + ("" if not old or old.endswith("\n") else "\n") + text).encode()
    after = parse(new, shown, problems)
    if after is None or after.node is None or len(after.node.value) != count + len(stubs):
        raise RecordsError(
            [Problem(shown, 0, "the stubs cannot be appended to its content; end the file with a newline")]
        )
    _replace(path, new, shown)
    return path


def _stub_text(stub: Stub, indent: int, now: datetime) -> str:
    record = {
        "item": stub.item,
        **({"target": stub.target} if stub.target else {}),
        "owner": TODO,
        "severity": stub.severity.value,
        "decision": TODO,
        "summary": " ".join(stub.summary.split())[:300] or TODO,
        "opened": time_words(now),
        **({"rows": stub.rows} if stub.rows else {}),
    }
    lines = dumped([record]).splitlines()
    margin = len(lines[0]) - len(lines[0].lstrip())
    return "".join(f"{' ' * indent}{line[margin:]}\n" for line in lines)


def _replace(path: Path, content: bytes, shown: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        raise RecordsError([Problem(shown, 0, f"cannot be written: {error.strerror}")]) from None
