"""Documents after a rollback are rendered from the results, with owners, times and a calendar entry."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.decision.incidents import Event, Times, What, all_of
from pytest_deploygate.model import Finding, Item, Kind, Severity, Verdict
from pytest_deploygate.moments import Moment
from pytest_deploygate.rollback import aftermath
from pytest_deploygate.rollback.aftermath import After
from pytest_deploygate.rollback.progress import Line, Mark, Progress

AT = datetime(2026, 3, 4, 22, tzinfo=UTC)
START = Moment(AT, "boot", 100.0)
ITEM = Item("golive.logins", "Verify user logins", "golive", Severity.CRITICAL, Kind.AUTOMATED)
FOUND = Finding(ITEM.id, "anna", Verdict.FAIL, "login answered 500;\nsee <log>", "t", AT, 0.1)


def after(**more: object) -> After:
    events = [
        Event("incident-1", What.OPENED, START, "gate", "HOLD", "golive.logins failed", items=(ITEM.id,)),
        Event("incident-1", What.DECIDED, START.plus(300), "deployment-lead", "ROLLBACK", "logins fail"),
        Event("incident-1", What.ROLLED_BACK, START.plus(900), "deploygate"),
    ]
    lines = (
        Line("r", Mark.BEGUN, START),
        Line("r", Mark.FAILED, START, "dns", "SERVFAIL"),
        Line("r", Mark.DONE, START, "dns", "good", 4.0),
    )
    found = After(
        change="CHG-1",
        inventory="prod",
        incident=all_of(events, Times())[0],
        red=(ItemResult(ITEM, Verdict.FAIL, FOUND.reason, in_scope=True, findings=(FOUND,)),),
        rollback=Progress("r", START, lines),
        lost="12 rows",
        owner="technical-lead",
        due=AT + timedelta(hours=1),
    )
    return replace(found, **more)


def test_every_task_has_an_owner_and_a_time():
    found = aftermath.tasks(after())
    assert {task.owner for task in found} == {"technical-lead"}
    titles = "\n".join(task.title for task in found)
    for words in ("golive.logins", "runbook step dns: SERVFAIL", "12 rows", "schedule the next attempt"):
        assert words in titles


def test_without_an_owner_it_says_that_somebody_has_to_be_named():
    assert all("name an owner" in task.owner for task in aftermath.tasks(after(owner="")))


def test_the_texts_say_what_was_found_and_how_it_ended():
    texts = aftermath.render(after())
    assert list(texts) == ["issues.md", "remediation.md", "status.md"]
    assert "anna: login answered 500; see <log>" in texts["issues.md"]
    assert "every step was verified at 2026-03-04 22:15 UTC" in texts["status.md"]
    assert "Lost by the rollback: 12 rows." in texts["status.md"]
    assert all(row.count("|") == 4 for row in texts["remediation.md"].splitlines() if row.startswith("|"))


def test_the_appointment_is_a_calendar_entry_that_readers_take():
    text = aftermath.render(after(retry=AT + timedelta(days=1)))["retry.ics"]
    lines = text.split("\r\n")
    assert lines[0] == "BEGIN:VCALENDAR"
    assert lines[-2:] == ["END:VCALENDAR", ""]
    assert all(len(line.encode()) <= 75 for line in lines), "RFC 5545, 3.1"
    whole = text.replace("\r\n ", "")
    assert "DTSTART:20260305T220000Z" in whole
    assert "login answered 500\\; see <log>" in whole
    assert text == aftermath.render(after(retry=AT + timedelta(days=1)))["retry.ics"], (
        "the same entry each time"
    )


def test_whom_to_call_begins_with_who_answers_for_what_failed():
    contacts = [
        {"role": "deployment-lead", "phone": "+15550100"},
        {"role": "Database admin", "mail": "dba@example.com"},
    ]
    assert aftermath.call_order(contacts, ["database-admin", "technical-lead", ""]) == (
        "database-admin: dba@example.com",
        "technical-lead: no contact known",
        "deployment-lead: +15550100",
    )
    assert "1. x: y" in aftermath.render(after(calls=("x: y",)))["remediation.md"]
    assert "the contact list is empty" in aftermath.render(after())["remediation.md"]
