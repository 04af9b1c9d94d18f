"""What a run says: which part of a WAF is off, what is unknown, and what is within its limit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pytest_deploygate.checks.waf import judge
from pytest_deploygate.checks.waf.facts import (
    Attack,
    Control,
    Corpus,
    Door,
    Opening,
    Ordinary,
    Result,
    Run,
    Sentinel,
)
from pytest_deploygate.checks.waf.section import Waf
from pytest_deploygate.drills.record import GOOD, Evidence, Record
from pytest_deploygate.model import Judgement, Shares, Verdict

WAF = {"url": "https://app.example.com", "read": "/", "write": "/api", "origins": ["https://203.0.113.7"]}
CLASSES = ("sqli", "xss", "rce", "php")
PLACES = ("query", "header", "form", "json", "multipart")
CLOSED = Door("https://203.0.113.7", "203.0.113.7:443", "here", Opening.CLOSED, "refused")


def attacks(**changes: Result) -> tuple[Attack, ...]:
    """Return 200 attacks; `changes` are results by class, placement or encoding."""
    found = []
    for attack_class in CLASSES:
        for place in PLACES:
            for number in range(10):
                encoding = "double" if number == 9 else "plain"
                result = next(
                    (r for key, r in changes.items() if key in (attack_class, place, encoding)),
                    Result.BLOCKED,
                )
                name = f"{attack_class}.{number}/{place}/{encoding}"
                levels = {"crs-3": 1, "crs-4": 1}
                found.append(
                    Attack(name, "shipped", attack_class, place, encoding, "CWE-89", levels, result, "")
                )
    return tuple(found)


def run(found: Iterable[Attack] | None = None, **more: object) -> Run:
    sent = attacks() if found is None else tuple(found)
    given = Run(
        "https://app.example.com",
        (Corpus("shipped", "1", len(sent)),),
        (Control("GET with query", Result.PASSED, "200"),),
        (Sentinel(0, Result.PASSED, "200"), Sentinel(20, Result.PASSED, "200")),
        tuple(Ordinary(f"names.{n}", "names", Result.PASSED, "200") for n in range(20)),
        sent,
        (CLOSED,),
        300,
        1.5,
    )
    return replace(given, **more)


def judged(measured: Run, **more: object) -> Judgement:
    now = datetime(2026, 11, 29, 12, tzinfo=UTC)
    evidence = Evidence(Record(now, GOOD, measured), "", "", True, {}, "staging", now)
    return judge.judge(evidence, Waf.model_validate(WAF | more))


def test_all_blocked():
    judgement = judged(run())
    assert judgement.verdict is Verdict.PASS
    assert "200 of 200 attacks that OWASP CRS 4 at paranoia level 1 blocks are blocked" in judgement.reason
    assert "1 address is closed" in judgement.reason


def test_none_blocked():
    judgement = judged(run(replace(each, result=Result.PASSED) for each in attacks()))
    assert judgement.verdict is Verdict.FAIL
    assert "none of 200 attacks is blocked" in judgement.reason
    assert "DetectionOnly" in judgement.reason


@pytest.mark.parametrize(
    ("off", "said"),
    [
        (
            "sqli",
            "SQL injection: 0 of 50 attacks are blocked (0 %; at least 95 % is required), of all others 150 of 150",
        ),
        ("json", "attacks in JSON bodies: 0 of 40 are blocked"),
        ("query", "attacks in query strings: 0 of 40 are blocked"),
        ("double", "attacks that are percent-encoded twice: 0 of 20 are blocked"),
    ],
)
def test_one_part_is_off(off, said):
    judgement = judged(run(attacks(**{off: Result.PASSED})))
    assert judgement.verdict is Verdict.FAIL
    assert judgement.reason.startswith(said)
    assert judgement.reason.count("at least 95 % is required") == 1
    assert sum(reading.ok is False for reading in judgement.readings) == 1


def test_bodies_of_any_kind():
    off = dict.fromkeys(("form", "json", "multipart"), Result.PASSED)
    judgement = judged(run(attacks(**off)))
    assert judgement.reason.startswith("attacks in bodies of any kind: 0 of 120 are blocked")
    assert judgement.reason.count("at least 95 % is required") == 1


def test_two_parts_are_off():
    judgement = judged(run(attacks(php=Result.PASSED, header=Result.PASSED)))
    assert "PHP injection: 0 of 50" in judgement.reason
    assert "attacks in headers: 0 of 30" in judgement.reason


def test_a_few_may_pass():
    sent = list(attacks())
    sent[3] = replace(sent[3], result=Result.PASSED)
    judgement = judged(run(sent))
    assert judgement.verdict is Verdict.PASS
    assert "passed, within the limit: sqli.3/query/plain" in judgement.notes


def test_what_the_level_does_not_block_is_not_expected():
    sent = [
        replace(each, levels={"crs-4": 2}, result=Result.PASSED) if each.attack_class == "rce" else each
        for each in attacks()
    ]
    assert judged(run(sent)).verdict is Verdict.PASS
    assert judged(run(sent), paranoia=2).verdict is Verdict.FAIL
    nothing = [replace(each, levels={}) for each in attacks()]
    assert judged(run(nothing)).verdict is Verdict.INCONCLUSIVE


def test_a_class_of_which_nothing_is_expected():
    sent = attacks(php=Result.PASSED)
    assert judged(run(sent), expect={"php": 0}).verdict is Verdict.PASS
    assert judged(run(sent), expect={"php": 50}).verdict is Verdict.FAIL


def test_other_shares():
    sent = [
        replace(each, result=Result.PASSED) if each.attack_class == "php" and each.name[4] in "0123" else each
        for each in attacks()
    ]
    assert judged(run(sent), expect={"php": 60}).verdict is Verdict.PASS
    assert judged(run(sent), expect={"php": 61}).verdict is Verdict.FAIL


def unresolved(number: int, **more: str) -> list[Attack]:
    """Return the attacks, so many of them unresolved, of all classes and placements."""
    sent = list(attacks())
    for place in range(number):
        sent[place * 18] = replace(sent[place * 18], result=Result.UNRESOLVED, **more)
    return sent


def test_unresolved():
    assert judged(run(unresolved(10, said="502"))).verdict is Verdict.PASS
    judgement = judged(run(unresolved(11, said="502")))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "11 of 200 attacks (6 %, at most 5 % is allowed)" in judgement.reason
    assert "502 (11 times)" in judgement.reason


def test_too_many_unresolved_hide_what_is_off():
    sent = [replace(each, result=Result.UNRESOLVED, said="400") for each in attacks()[:150]]
    sent += [replace(each, result=Result.PASSED) for each in attacks()[150:]]
    assert judged(run(sent)).verdict is Verdict.INCONCLUSIVE


def test_false_positives():
    ordinary = list(run().ordinary)
    ordinary[0] = replace(ordinary[0], result=Result.BLOCKED, said="403")
    judgement = judged(run(ordinary=tuple(ordinary)))
    assert judgement.verdict is Verdict.FAIL
    assert "1 of 20 ordinary requests is blocked" in judgement.reason
    assert "names.0" in judgement.reason
    assert judged(run(ordinary=tuple(ordinary)), false_positives_percent=5).verdict is Verdict.PASS


def test_all_ordinary_requests_are_blocked():
    every = tuple(replace(each, result=Result.BLOCKED) for each in run().ordinary)
    assert "blocks everyone who sends anything" in judged(run(ordinary=every)).reason


def test_no_ordinary_request_was_answered():
    assert judged(run(ordinary=())).verdict is Verdict.INCONCLUSIVE
    lost = (*run().ordinary, Ordinary("names.lost", "names", Result.UNRESOLVED, "no answer within 3 s"))
    judgement = judged(run(ordinary=lost))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "names.lost" in judgement.reason


@pytest.mark.parametrize(
    ("opening", "own", "verdict", "said"),
    [
        (Opening.SERVED, False, Verdict.FAIL, "let its firewall accept only the WAF's addresses"),
        (Opening.SERVED, True, Verdict.FAIL, "take its record out of DNS"),
        (Opening.UNKNOWN, False, Verdict.INCONCLUSIVE, "it is not known whether"),
        (Opening.REFUSES, False, Verdict.PASS, ""),
        (Opening.GUARDED, False, Verdict.PASS, ""),
        (Opening.CLOSED, False, Verdict.PASS, ""),
    ],
)
def test_ways_around(opening, own, verdict, said):
    door = replace(CLOSED, opening=opening, own=own, said="answers 200")
    judgement = judged(run(doors=(CLOSED, door)))
    assert judgement.verdict is verdict
    assert said in judgement.reason


def test_origins_that_are_not_named_are_unknown():
    judgement = judged(run(doors=()), origins=[])
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "no server behind it is named" in judgement.reason
    assert "`waf.no_origins`" in judgement.reason


def test_a_failure_counts_whether_origins_are_named_or_not():
    assert judged(run(attacks(sqli=Result.PASSED), doors=()), origins=[]).verdict is Verdict.FAIL


def test_that_there_are_no_origins_is_a_note():
    judgement = judged(run(doors=()), origins=[], no_origins="it listens on a Unix socket")
    assert judgement.verdict is Verdict.PASS
    assert any("it listens on a Unix socket" in note for note in judgement.notes)


def test_an_address_of_the_waf_itself_counts_also_without_origins():
    door = replace(CLOSED, opening=Opening.SERVED, own=True, said="answers 200")
    judgement = judged(run(doors=(door,)), origins=[], no_origins="it listens on a Unix socket")
    assert judgement.verdict is Verdict.FAIL


def test_origins_that_are_declared_and_were_not_tried():
    assert judged(run(doors=())).verdict is Verdict.INCONCLUSIVE


def test_a_vantage_point_from_which_an_origin_was_not_tried():
    judgement = judged(run(doors=(CLOSED,)), origins_from=["web1"])
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "https://203.0.113.7 was not tried from web1" in judgement.reason
    doors = (CLOSED, replace(CLOSED, vantage="web1"))
    assert judged(run(doors=doors), origins_from=["web1"]).verdict is Verdict.PASS


def test_another_corpus():
    other = [
        Attack(
            f"942100-{n}",
            "OWASP CRS",
            "sqli",
            "query",
            "plain",
            "",
            {"rule": 1 + n % 2},
            Result.BLOCKED if n % 2 == 0 else Result.PASSED,
        )
        for n in range(20)
    ]
    measured = run(
        (*attacks(), *other),
        corpora=(Corpus("shipped", "1", 200), Corpus("OWASP CRS", "", 20, {"no safe path": 3})),
    )
    more = {"corpora": [{"crs": "."}]}
    judgement = judged(measured, **more)
    assert judgement.verdict is Verdict.PASS
    assert any("3 (no safe path)" in note for note in judgement.notes)
    judgement = judged(measured, paranoia=2, **more)
    assert judgement.verdict is Verdict.FAIL
    assert "10 of 20 attacks of the corpus OWASP CRS are blocked" in judgement.reason


def test_pictures():
    by_class, by_placement = "Attacks blocked, by class", "Attacks blocked, by placement"
    figures = judged(run(attacks(json=Result.PASSED))).figures
    # What explains the gap comes first.
    assert [figure.title for figure in figures] == [by_placement, by_class]
    assert isinstance(figures[0], Shares)
    assert ("JSON bodies", (("blocked", 0), ("passed", 40), ("unresolved", 0)), 0.95) in figures[0].rows
    for good in (attacks(), attacks(sqli=Result.PASSED)):
        assert [figure.title for figure in judged(run(good)).figures] == [by_class, by_placement]


@pytest.mark.parametrize("ended", ["within", "first sentinel", "sentinel"])
def test_a_run_that_was_not_whole_never_passes(ended):
    sentinels = (
        Sentinel(0, Result.BLOCKED if ended == "first sentinel" else Result.PASSED, "200"),
        Sentinel(20, Result.BLOCKED, "403"),
    )
    assert judged(run(ended=ended, sentinels=sentinels)).verdict is Verdict.INCONCLUSIVE


def test_a_record_that_is_old():
    then = datetime(2026, 7, 1, tzinfo=UTC)
    evidence = Evidence(
        Record(then, GOOD, run(), environment="staging"),
        "",
        "waf.json",
        False,
        None,
        "staging",
        then + timedelta(days=91),
    )
    assert judge.judge(evidence, Waf.model_validate(WAF)).verdict is Verdict.INCONCLUSIVE
    evidence = replace(evidence, now=then + timedelta(days=2))
    judgement = judge.judge(evidence, Waf.model_validate(WAF))
    assert judgement.verdict is Verdict.PASS
    assert any("on record, 2026-07-01" in note for note in judgement.notes)


def one_class_lost(number: int, *, lost: int, passed: int = 0) -> Run:
    """200 attacks of four classes are blocked; of a fifth one, some got no answer that says anything."""
    small = [
        replace(
            attacks()[0],
            name=f"upload.{n}",
            attack_class="upload",
            placement="upload",
            result=Result.UNRESOLVED if n < lost else Result.PASSED if n < lost + passed else Result.BLOCKED,
            said="400",
        )
        for n in range(number)
    ]
    return run([*attacks(), *small])


@pytest.mark.parametrize(("number", "lost"), [(10, 10), (10, 3), (1, 1)])
def test_few_of_all_that_are_much_of_one_class_are_not_passed_over(number, lost):
    judgement = judged(one_class_lost(number, lost=lost))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.reason.count("is not known") == 1
    assert f"uploaded files: {lost} of {number} attacks" in judgement.reason
    assert f"(400 {lost} times)" in judgement.reason
    assert "waf.reached" in judgement.reason


def test_one_lost_answer_of_a_class_is_chance():
    assert judged(one_class_lost(10, lost=1)).verdict is Verdict.PASS


def test_a_class_that_is_low_whatever_the_lost_ones_were_fails():
    judgement = judged(one_class_lost(10, lost=3, passed=5))
    assert judgement.verdict is Verdict.FAIL
    assert "2 of 7 are blocked" in judgement.reason
    assert "is not known" not in judgement.reason


def test_a_class_from_which_nothing_is_expected_is_not_asked_for():
    judgement = judged(one_class_lost(10, lost=10), expect={"upload": 0})
    assert judgement.verdict is Verdict.PASS
