"""The collector of judges: wrong before unknown before good, and nothing passes that was not measured."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Reading, Verdict

READING = Reading("rows", 5)


def never():
    raise AssertionError("the sentence of a pass was asked for")


def test_nothing_collected_is_no_pass():
    found = Collector(about="db1").judgement(never)
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, "db1: nothing was measured")


def test_what_was_read_and_is_neither_wrong_nor_unknown_passes_with_the_sentence_given():
    collector = Collector(confirmed=True)
    collector.read(READING)
    collector.note("a", "a", where="db1")
    found = collector.judgement(lambda: "5 rows")
    assert (found.verdict, found.reason, found.readings) == (Verdict.PASS, "5 rows", (READING,))
    assert (found.notes, found.confirmed, found.deferred_to) == (("db1: a",), False, "")


def test_a_pass_without_a_sentence_is_a_mistake():
    collector = Collector()
    collector.read(READING)
    with pytest.raises(ValueError, match="a pass needs a sentence"):
        collector.judgement(lambda: "")


def test_wrong_counts_before_unknown_and_keeps_the_rest():
    collector = Collector(about="db1", confirmed=True)
    collector.read(READING)
    collector.unknown("not read", deferred_to="phase4")
    collector.note("n")
    assert not collector.failed
    collector.wrong("too old", "too large")
    assert collector.failed
    found = collector.judgement(never)
    assert (found.verdict, found.reason) == (Verdict.FAIL, "db1: too old; too large")
    assert (found.confirmed, found.deferred_to, found.notes, found.readings[1:]) == (
        True,
        "",
        ("n",),
        (READING,),
    )


def test_what_is_true_of_several_places_is_said_once_and_no_more_than_asked():
    collector = Collector(most=2)
    for where in ("ns1", "ns2"):
        collector.wrong("lame", where=where)
    collector.wrong("a", "b")
    assert collector.judgement(never).reason == "ns1, ns2: lame; a; and 1 more, all in the evidence"


@pytest.mark.parametrize(
    ("phases", "deferred_to"),
    [(["phase4"], "phase4"), (["phase4", "phase4"], "phase4"), (["phase4", ""], ""), (["phase4", "golive"], "")],
)  # fmt: skip
def test_it_is_deferred_only_if_every_unknown_is_deferred_to_the_same_phase(phases, deferred_to):
    collector = Collector()
    for number, phase in enumerate(phases):
        collector.unknown(f"{number} is unknown", deferred_to=phase)
    found = collector.judgement(never)
    assert (found.verdict, found.deferred_to) == (Verdict.INCONCLUSIVE, deferred_to)


SAID = st.lists(
    st.tuples(st.text("abc", min_size=1, max_size=3), st.sampled_from(["", "x", "y"])), max_size=6
)


@given(SAID, SAID, SAID, st.lists(st.just(READING), max_size=2), st.booleans(), st.sampled_from([None, 1, 3]))
def test_the_verdict_follows_from_what_was_collected(wrong, unknown, notes, readings, confirmed, most):
    collector = Collector(confirmed=confirmed, most=most)
    for text, where in wrong:
        collector.wrong(text, where=where)
    for text, phase in unknown:
        collector.unknown(text, deferred_to=phase)
    for text, where in notes:
        collector.note(text, where=where)
    collector.read(*readings)
    found = collector.judgement(lambda: "good")
    verdict = Verdict.FAIL if wrong else Verdict.INCONCLUSIVE if unknown or not readings else Verdict.PASS
    assert found.verdict is verdict
    assert found.reason
    assert found.readings[1 if wrong else 0 :] == tuple(readings)  # a failure counts what is wrong first
    assert len(found.notes) == len(set(notes))
    assert found.confirmed == (confirmed and bool(wrong))
    assert not found.deferred_to or verdict is Verdict.INCONCLUSIVE
    decisive = [text for text, _ in wrong or unknown]
    if most is None:
        assert all(text in found.reason for text in decisive)
