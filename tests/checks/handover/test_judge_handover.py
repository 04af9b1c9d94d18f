"""Judging briefings, documents and improvements."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from pytest_deploygate.checks.handover import judge as of_handover
from pytest_deploygate.checks.handover.facts import (
    BriefingSeen,
    BriefingsSeen,
    DocumentSeen,
    ImprovementSeen,
    LinkSeen,
)
from pytest_deploygate.checks.handover.section import Handover
from pytest_deploygate.model import Judgement

NOW = datetime(2026, 12, 2, 17, tzinfo=UTC)
SINCE = date(2026, 11, 24)
URL = "https://wiki.example.com/runbook"
RUNBOOK = DocumentSeen(
    "runbook", "operations-manager", LinkSeen(URL, 200), changed=NOW - timedelta(days=1), by="its server"
)
BOTH = ("deployment-lead", "operations-manager")
BRIEFING = BriefingSeen(NOW - timedelta(hours=1), BOTH, BOTH)


def judged(since: date | None = SINCE, **changed: object) -> Judgement:
    return of_handover.documents([replace(RUNBOOK, **changed)], since)


def test_a_document_of_this_change_passes() -> None:
    assert judged().verdict.value == "pass"
    assert judged(changed=datetime(2026, 11, 24, tzinfo=UTC)).verdict.value == "pass"


@pytest.mark.parametrize(
    ("changed", "verdict", "says"),
    [
        ({"link": LinkSeen(URL, 404, gone=True)}, "fail", f"{URL} is a dead link (HTTP 404)"),
        ({"link": LinkSeen("docs/x.md", gone=True)}, "fail", "docs/x.md is a dead link (no such file)"),
        (
            {"link": LinkSeen(URL, 200, login="a page that asks for a password")},
            "inconclusive",
            "answers with a login",
        ),
        (
            {"link": LinkSeen(URL, problem="no answer within 15 s")},
            "inconclusive",
            "cannot be looked at from here",
        ),
        ({"empty": True}, "fail", "is empty: write it"),
        ({"lacks": ("Version 2",)}, "fail", "does not say 'Version 2'"),
        (
            {"changed": datetime(2026, 11, 23, 23, tzinfo=UTC)},
            "fail",
            "on 2026-11-23, by its server, which is before 2026-11-24",
        ),
        ({"changed": None, "unknown_age": "no date"}, "inconclusive", "last changed is unknown (no date)"),
        ({"since": None}, "inconclusive", "add `timetable` with `t0`, or `handover.since`"),
    ],
)
def test_documents(changed: dict[str, object], verdict: str, says: str) -> None:
    found = judged(**changed)
    assert found.verdict.value == verdict
    assert says in found.reason


def test_one_dead_link_of_two_is_named_with_its_owner() -> None:
    gone = replace(RUNBOOK, name="manual", link=LinkSeen(f"{URL}2", 410, gone=True))
    found = of_handover.documents([RUNBOOK, gone], SINCE)
    assert found.verdict.value == "fail"
    assert found.reason.startswith("manual (operations-manager): ")


def brief(*some: BriefingSeen, since: date | None = SINCE) -> Judgement:
    return of_handover.briefing(BriefingsSeen(some, NOW), since)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"came": ("deployment-lead",)}, "operations-manager was not present"),
        ({"came": ()}, "deployment-lead, operations-manager were not present"),
        ({"at": NOW + timedelta(days=1)}, "has not been held yet"),
        ({"at": NOW - timedelta(days=30)}, "was before 2026-11-24, for another change"),
    ],
)
def test_a_briefing_that_does_not_count(changed: dict[str, object], says: str) -> None:
    found = brief(replace(BRIEFING, **changed))
    assert found.verdict.value == "fail"
    assert says in found.reason


def test_briefings_that_count() -> None:
    assert brief(BRIEFING).verdict.value == "pass"
    assert brief(replace(BRIEFING, came=("Deployment Lead", "operations manager"))).verdict.value == "pass"
    halves = [replace(BRIEFING, came=(role,)) for role in BOTH]
    assert brief(*halves).verdict.value == "pass"


@pytest.mark.parametrize(
    ("ticket", "link", "verdict", "says"),
    [
        ("OPS-17", None, "pass", "1 improvement has its ticket"),
        ("", None, "fail", "it has no ticket"),
        ("soon", None, "fail", "'soon' is no ticket"),
        ("OPS-17", LinkSeen("https://t.example.com/OPS-17", 404, gone=True), "fail", "is a dead link"),
        (
            "OPS-17",
            LinkSeen("https://t.example.com/OPS-17", 401, login="HTTP 401"),
            "inconclusive",
            "a login",
        ),
    ],
)
def test_improvements(ticket: str, link: LinkSeen | None, verdict: str, says: str) -> None:
    found = of_handover.improvements(
        [ImprovementSeen("an index", "technical-lead", ticket, link)], Handover()
    )
    assert found.verdict.value == verdict
    assert says in found.reason
