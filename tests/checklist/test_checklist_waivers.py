"""Waivers: another person's approval, a ticket, an end, and a result that is still shown."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from pytest_deploygate.checklist import waivers
from pytest_deploygate.checklist.records import RecordsError
from pytest_deploygate.model import Finding, Reading, Verdict

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
GOOD = """\
item: db.pooling
owner: The database admin
approver: The operations manager
reason: the pooler is replaced next week
ticket: OPS-17
created: 2026-03-01T00:00:00Z
expires: 2026-03-10T00:00:00Z
"""


def write(root, text, name="one.yml"):
    (root / "waivers").mkdir(exist_ok=True)
    (root / "waivers" / name).write_text(text)


def load(root, checklist, text=GOOD, **options):
    write(root, text)
    return waivers.load_all(root, checklist, now=NOW, **options)


def waiver(root, checklist, **changed):
    return load(root, checklist, GOOD + "".join(f"{key}: {value!r}\n" for key, value in changed.items()))[0]


def finding(verdict, **changed):
    values = {"target": "pool1", "reason": "all 20 clients wait", "test": "t", "at": NOW, "duration_s": 1.0}
    return Finding("db.pooling", verdict=verdict, readings=(Reading("clients", 20),), **{**values, **changed})


def apply(found, one, now=NOW, inventory="prod", change="CHG-1"):
    return waivers.apply([found], [one], now, inventory, change)[0]


def test_a_good_one_is_read(tmp_path, checklist):
    (found,) = load(tmp_path, checklist)
    assert found.active(NOW)
    assert not found.active(found.expires)
    assert found.active(found.expires - timedelta(seconds=1))
    assert found.covers("db.pooling", "anything", "prod", "CHG-1")
    assert not found.covers("db.restore", "", "prod", "CHG-1")


@pytest.mark.parametrize(
    ("key", "value", "other", "covered"),
    [
        ("target", "pool1", {}, True),
        ("target", "pool*", {}, True),
        ("target", "pool", {}, False),
        ("target", "POOL1", {}, False),
        ("inventory", "prod", {}, True),
        ("inventory", "staging", {}, False),
        ("change", "CHG-1", {}, True),
        ("change", "CHG-2", {}, False),
    ],
)
def test_scope(tmp_path, checklist, key, value, other, covered):
    one = waiver(tmp_path, checklist, **{key: value})
    assert one.covers("db.pooling", "pool1", "prod", "CHG-1") is covered


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("db.pooling", "db.poling", 1, "did you mean 'db.pooling'?"),
        ("db.pooling", "db.restore", 1, "db.restore is marked .non-waivable"),
        ("The operations manager", "the  DATABASE admin", 3, "another person must approve"),
        ("owner: The database admin", "owner: tbd", 2, "is a placeholder"),
        ("the pooler is replaced next week", "later", 4, "at least 15 characters"),
        ("ticket: OPS-17\n", "", 1, "ticket: is missing"),
        ("2026-03-10T00:00:00Z", "2026-03-10", 7, "is not ISO 8601 with a time zone"),
        ("2026-03-10T00:00:00Z", "2026-02-10T00:00:00Z", 7, "is not after `created`"),
        ("2026-03-10T00:00:00Z", "2036-03-10T00:00:00Z", 7, "at most 90 d is allowed"),
        ("2026-03-01T00:00:00Z", "2026-03-09T00:00:00Z", 6, "is in the future"),
    ],
)
def test_each_mistake_is_said_with_its_line(tmp_path, checklist, old, new, line, says):
    with pytest.raises(RecordsError) as raised:
        load(tmp_path, checklist, GOOD.replace(old, new, 1))
    (problem,) = map(str, raised.value.problems)
    assert problem.startswith(f"waivers/one.yml:{line}: ")
    assert says in problem


def test_the_number_of_active_ones_has_a_cap(tmp_path, checklist):
    write(tmp_path, GOOD.replace("db.pooling", "sec.ddos"), "two.yml")
    assert len(load(tmp_path, checklist, cap=2)) == 2
    with pytest.raises(RecordsError, match="2 waivers are active but only 1 are allowed"):
        load(tmp_path, checklist, cap=1)


def test_expired_ones_do_not_count_for_the_cap(tmp_path, checklist):
    write(tmp_path, GOOD.replace("2026-03-10", "2026-03-02"), "old.yml")
    assert len(load(tmp_path, checklist, cap=1)) == 2


def test_two_active_ones_for_the_same_thing(tmp_path, checklist):
    write(tmp_path, GOOD, "two.yml")
    with pytest.raises(RecordsError, match="waives the same as"):
        load(tmp_path, checklist)


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_COVERED])
def test_an_active_one_waives_and_the_result_stays_shown(tmp_path, checklist, verdict):
    found = apply(finding(verdict), waiver(tmp_path, checklist))
    assert found.verdict is Verdict.WAIVED
    assert found.reason == (
        "waived until 2026-03-10T00:00:00Z by The database admin, approved by The operations manager "
        "(ticket OPS-17): all 20 clients wait"
    )
    assert found.readings[0] == Reading("clients", 20)
    assert found.readings[1].value == verdict.value
    assert verdict in found.notes[0]
    assert apply(found, waiver(tmp_path, checklist)) == found


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_COVERED])
def test_an_expired_one_fails_what_is_bad(tmp_path, checklist, verdict):
    found = apply(
        finding(verdict, deferred_to="phase4"), waiver(tmp_path, checklist), NOW + timedelta(days=7)
    )
    assert found.verdict is Verdict.FAIL
    expected = "waiver expired on 2026-03-10T00:00:00Z (ticket OPS-17): all 20 clients wait"
    assert (found.reason, found.deferred_to) == (expected, "")


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.ATTESTED])
@pytest.mark.parametrize(("days", "says"), [(0, "is no longer needed"), (7, "expired on")])
def test_what_is_good_stays_good_with_a_note(tmp_path, checklist, verdict, days, says):
    found = apply(finding(verdict), waiver(tmp_path, checklist), NOW + timedelta(days=days))
    assert found.verdict is verdict
    assert says in found.notes[0]


def test_what_is_not_covered_by_it_is_left_alone(tmp_path, checklist):
    bad = finding(Verdict.FAIL)
    assert apply(bad, waiver(tmp_path, checklist, target="pool2")) == bad


def test_a_new_one_counts_over_an_expired_one(tmp_path, checklist):
    write(tmp_path, GOOD.replace("2026-03-10", "2026-03-02"), "old.yml")
    both = load(tmp_path, checklist)
    assert waivers.apply([finding(Verdict.FAIL)], both, NOW, "prod", "x")[0].verdict is Verdict.WAIVED


@pytest.mark.parametrize(
    ("approver", "words"),
    [
        ("the DATABASE-admin", "is the owner; another person must approve"),
        ("The dat\u200babase admin", "is the owner; another person must approve"),
        ("The d\u0430tabase admin", "'\u0430' is CYRILLIC SMALL LETTER A"),
        ("The database adrnin", "looks like the owner, 'The database admin'"),
        ("\u3164\u3164\u3164", "that can be seen are needed"),
    ],
)
def test_an_approver_is_somebody_else(tmp_path, checklist, approver, words):
    """Unicode has many ways to write the owner's name once more, and names that nobody can see."""
    with pytest.raises(RecordsError, match=re.escape(words)):
        load(tmp_path, checklist, GOOD.replace("The operations manager", f'"{approver}"'))


@pytest.mark.parametrize(
    "reason", ["\u200b" * 20, "\u3164" * 20, "too short" + "\u2060" * 20, ". . . . . . . . . ."]
)
def test_a_reason_can_be_seen(tmp_path, checklist, reason):
    with pytest.raises(RecordsError, match="reason: is too short"):
        load(tmp_path, checklist, GOOD.replace("the pooler is replaced next week", f'"{reason}"'))
