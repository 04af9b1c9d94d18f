"""The issue log: stubs load as incomplete, mistakes are reported, and adding stubs leaves existing content unchanged."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pytest_deploygate.checklist import issue_log
from pytest_deploygate.checklist.issue_log import Stub
from pytest_deploygate.checklist.records import RecordsError
from pytest_deploygate.model import Severity

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
GOOD = """\
# what we found
- item: db.pooling
  target: pool1
  owner: The database admin
  severity: major
  decision: fix
  summary: all 20 clients wait
  opened: 2026-03-04T10:00:00Z
  closed: 2026-03-04T11:00:00Z
"""
STUB = Stub("sec.ddos", "edge: 1", Severity.CRITICAL, "no limit:\nanswered 500 of 500")


def write(root, text):
    (root / "issues").mkdir(exist_ok=True)
    (root / "issues" / "CHG-1.yml").write_text(text)


def load(root, checklist, text):
    write(root, text)
    return issue_log.load(root, "CHG-1", checklist, now=NOW)


def test_entries_are_read(tmp_path, checklist):
    log = load(tmp_path, checklist, GOOD)
    (entry,) = log.entries
    assert (entry.item, entry.owner, entry.severity, entry.incomplete) == (
        "db.pooling", "The database admin", "major", (),
    )  # fmt: skip
    assert (entry.line, entry.closed) == (2, datetime(2026, 3, 4, 11, 0, tzinfo=UTC))
    assert entry.about("db.pooling", "pool1")
    assert not entry.about("db.pooling", "pool2")


@pytest.mark.parametrize(("text", "exists"), [(None, False), ("", True), ("[]\n", True), ("# none\n", True)])
def test_no_log_and_an_empty_one_differ(tmp_path, checklist, text, exists):
    if text is not None:
        write(tmp_path, text)
    log = issue_log.load(tmp_path, "CHG-1", checklist, now=NOW)
    assert (log.exists, log.entries) == (exists, ())


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("db.pooling", "db.pool", 2, "did you mean 'db.pooling'?"),
        ("severity: major", "severity: mayor", 5, "did you mean 'major'?"),
        ("decision: fix", "decision: fixed", 6, "did you mean 'fix'?"),
        ("  opened: 2026-03-04T10:00:00Z\n", "", 2, "opened: is missing"),
        ("2026-03-04T11:00:00Z", "2026-03-04T09:00:00Z", 9, "is before `opened`"),
        ("2026-03-04T11:00:00Z", "2026-03-05T09:00:00Z", 9, "is in the future"),
        ("2026-03-04T11:00:00Z", "yesterday", 9, "is not ISO 8601"),
    ],
)
def test_each_mistake_is_said_with_its_line(tmp_path, checklist, old, new, line, says):
    with pytest.raises(RecordsError) as raised:
        load(tmp_path, checklist, GOOD.replace(old, new))
    (problem,) = map(str, raised.value.problems)
    assert problem.startswith(f"issues/CHG-1.yml:{line}: ")
    assert says in problem


def test_a_log_that_is_no_list(tmp_path, checklist):
    with pytest.raises(RecordsError, match="must be a list"):
        load(tmp_path, checklist, "item: db.pooling\n")


def test_stubs_are_added_below_and_are_incomplete(tmp_path, checklist):
    write(tmp_path, GOOD.rstrip("\n"))
    path = issue_log.append(tmp_path, "CHG-1", [STUB, STUB], NOW)
    assert path.read_text().startswith(GOOD)
    log = issue_log.load(tmp_path, "CHG-1", checklist, now=NOW)
    assert [entry.incomplete for entry in log.entries] == [(), *[("owner", "decision")] * 2]
    stub = log.entries[1]
    assert (stub.target, stub.severity, stub.summary) == (
        "edge: 1", "critical", "no limit: answered 500 of 500",
    )  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [None, "", "[]\n", "# ä\n[]  # none\n", "  - item: db.pooling\n    opened: 2026-03-04T10:00:00Z\n"],
)
def test_stubs_are_added_to_any_list(tmp_path, checklist, text):
    if text is not None:
        write(tmp_path, text)
    issue_log.append(tmp_path, "CHG-1", [STUB], NOW)
    log = issue_log.load(tmp_path, "CHG-1", checklist, now=NOW)
    assert log.entries[-1].item == "sec.ddos"


@pytest.mark.parametrize("text", ["a: 1\n", "[{item: db.pooling}]\n", "- a\n...\n", "- a: {\n"])
def test_what_cannot_be_added_to_is_left_alone(tmp_path, checklist, text):
    write(tmp_path, text)
    with pytest.raises(RecordsError):
        issue_log.append(tmp_path, "CHG-1", [STUB], NOW)
    assert (tmp_path / "issues" / "CHG-1.yml").read_text() == text
