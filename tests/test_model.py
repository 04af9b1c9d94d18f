"""The frozen values: worst-of, combining judgements, durations and sizes as people write them."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.model import (
    WORST_FIRST,
    Judgement,
    Reading,
    Verdict,
    combine,
    parse_duration,
    parse_size,
    words_for,
    words_for_bytes,
    worst,
)

verdicts = st.sampled_from(Verdict)


def test_the_order_is_that_of_the_contract():
    """fail > inconclusive > not_covered > waived > attested > pass, and not_applicable has no weight."""
    assert [v.value for v in WORST_FIRST] == [
        "fail",
        "inconclusive",
        "not_covered",
        "waived",
        "attested",
        "pass",
        "not_applicable",
    ]


def test_nothing_is_not_covered():
    """The worst of no verdicts is not_covered, and so is combining no judgements, with a reason."""
    assert worst([]) is Verdict.NOT_COVERED
    assert combine([]) == Judgement(Verdict.NOT_COVERED, "nothing was judged")


@given(st.lists(verdicts, min_size=1))
def test_worst_is_one_of_them_and_none_is_worse(found):
    """The worst verdict is one of those given, and none of the others is worse; order does not matter."""
    result = worst(found)
    assert result in found
    assert all(WORST_FIRST.index(result) <= WORST_FIRST.index(v) for v in found)
    assert worst(reversed(found)) is result


@given(st.lists(verdicts, min_size=1))
def test_folding_keeps_the_worst_with_its_reasons_and_all_readings(found):
    """Combining judgements keeps the worst verdict, the reasons of exactly those that have it, and every reading."""
    parts = [Judgement(v, f"reason {n}", (Reading(f"r{n}", n),), (f"note {n}",)) for n, v in enumerate(found)]
    folded = combine(parts)
    assert folded.verdict is worst(found)
    assert folded.reason.split("; ") == [p.reason for p in parts if p.verdict is folded.verdict]
    assert {r.name for r in folded.readings} == {f"r{n}" for n in range(len(found))}
    assert len(folded.notes) == len(found)


@given(st.lists(st.tuples(verdicts, st.sampled_from(["", "phase4", "golive"]))))
def test_deferred_only_when_every_part_that_is_not_good_is(found):
    """Whatever the parts: a deferred result is inconclusive, and no part of it is bad for another reason."""
    parts = [Judgement(verdict, "why", deferred_to=phase) for verdict, phase in found]
    folded = combine(parts)
    bad = [p for p in parts if not p.verdict.good]
    waiting = [p for p in bad if p.verdict is Verdict.INCONCLUSIVE]
    if folded.deferred_to:
        assert folded.verdict is Verdict.INCONCLUSIVE
        assert waiting == bad
        assert {p.deferred_to for p in bad} == {folded.deferred_to}
    else:
        assert (
            not bad
            or waiting != bad
            or len({p.deferred_to for p in bad} | {""}) != 2
            or "" in {p.deferred_to for p in bad}
        )


@pytest.mark.parametrize("beside", [v for v in Verdict if not v.good])
def test_an_unknown_beside_a_deferred_part_is_not_deferred(beside):
    """An unreadable crontab and a table without rows: the first is unknown now, so the result is not deferred."""
    deferred = Judgement(Verdict.INCONCLUSIVE, "the table is empty", deferred_to="phase4")
    for parts in ([deferred, Judgement(beside, "why")], [Judgement(beside, "why"), deferred]):
        assert combine(parts).deferred_to == ""
    assert combine([deferred, Judgement(Verdict.PASS, "")]).deferred_to == "phase4"


@pytest.mark.parametrize(
    ("confirmed", "expected"), [((True, True), True), ((True, False), False), ((False,), False)]
)
def test_a_folded_failure_is_confirmed_only_when_each_was(confirmed, expected):
    """One unconfirmed failure among several makes the result unconfirmed; an additional pass does not."""
    parts = [Judgement(Verdict.FAIL, "broken", confirmed=c) for c in confirmed]
    assert combine([*parts, Judgement(Verdict.PASS, "fine")]).confirmed is expected


@pytest.mark.parametrize(
    ("verdict", "good"),
    [
        ("pass", True),
        ("attested", True),
        ("not_applicable", True),
        ("waived", False),
        ("not_covered", False),
        ("inconclusive", False),
        ("fail", False),
    ],
)
def test_good_is_what_nobody_has_to_look_at(verdict, good):
    """Pass, attested and not applicable are good; unknown and waived are not."""
    assert Verdict(verdict).good is good


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("30s", 30),
        ("5m", 300),
        ("5 min", 300),
        ("1h30m", 5400),
        ("7d", 604800),
        ("1.5h", 5400),
    ],
)
def test_durations_are_read(text, seconds):
    """Durations are parsed with their units, including several in a row."""
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "30", "5 parsecs", "-5m", "5m later", "m", "1h 30"])
def test_what_is_no_duration_is_refused_with_the_forms_that_work(text):
    """A bare number, a sign or an unknown unit is refused, and the message shows what works."""
    with pytest.raises(ValueError, match="30s, 5m, 2h"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["1 month", "3 months", "6mo", "1 y", "2years"])
def test_months_and_years_are_refused_with_what_to_write(text):
    """`1 month` must not be read as a minute, and a month has no fixed length."""
    with pytest.raises(ValueError, match="months and years differ in length; write days, for example 30d"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("16MB", 16 * 2**20), ("1GB", 2**30), ("512kB", 2**19), ("1.5 GiB", 3 * 2**29), ("8B", 8)],
)
def test_sizes_are_read_in_powers_of_1024(text, size):
    """Sizes count in powers of 1024, as PostgreSQL does."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "16", "16 parsecs", "-1MB", "MB", "1e3MB"])
def test_what_is_no_size_is_refused(text):
    """A size needs a number and a unit."""
    with pytest.raises(ValueError, match="16MB or 1GB"):
        parse_size(text)


@given(st.floats(0.001, 1e7))
def test_durations_in_words_are_close_to_the_truth(seconds):
    """A formatted duration has three digits, so its error is at most half a percent."""
    number, unit = words_for(seconds).split()
    assert float(number) * {"s": 1, "min": 60, "h": 3600, "d": 86400}[unit] == pytest.approx(
        seconds, rel=0.006
    )
    assert words_for(timedelta(seconds=90)) == "90 s"


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1 kB"), (16 * 2**20, "16 MB"), (3 * 2**29, "1.5 GB")],
)
def test_sizes_in_words(size, words):
    """Sizes are formatted in the usual unit."""
    assert words_for_bytes(size) == words


def test_values_are_frozen():
    """A judgement is immutable."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Judgement(Verdict.FAIL, "broken").verdict = Verdict.PASS
