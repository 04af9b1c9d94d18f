"""The checker finds each anomaly that is planted, and none in the history of a cluster that keeps its word."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_deploygate.judging.histories.checking import Anomalies, Presence, Some, checked
from pytest_deploygate.judging.histories.history import Entry, History, Kind, Outcome

ACK, OPEN, REFUSED = Outcome.ACKNOWLEDGED, Outcome.INDETERMINATE, Outcome.REFUSED


def simulated(seed, operations=60, writers=3, readers=2):
    """Return the entries of clients of a cluster with one copy, and the rows that it has in the end.

    Each operation takes effect at one moment between its begin and its end; one without an answer at any later moment.
    """
    chance = random.Random(seed)
    free = dict.fromkeys(range(writers + readers), 0.0)
    effects, entries, ids = [], [], dict.fromkeys(range(writers), 0)
    for _ in range(operations):
        client = min(free, key=lambda each: (free[each], each))
        begin = free[client] + chance.random()
        moment, end = begin + chance.random(), 0.0
        end = moment + chance.random()
        outcome = chance.choices((ACK, OPEN, REFUSED), (8, 1, 1))[0]
        if client < writers:
            value = 1 + client + writers * ids[client]
            ids[client] += chance.choice((1, 1, 2))
            entries.append(Entry(client, begin, end, Kind.WRITE, outcome, value))
            if outcome is ACK:
                effects.append((moment, value, len(entries) - 1))
            elif outcome is OPEN and chance.random() < 0.5:
                effects.append((moment + 5 * chance.random(), value, len(entries) - 1))
        else:
            entries.append(Entry(client, begin, end, Kind.READ, ACK, 0))
            effects.append((moment, None, len(entries) - 1))
        free[client] = end
    there = set()
    for _, value, at in sorted(effects, key=lambda each: each[0]):
        if value is None:
            entries[at] = replace(entries[at], value=max(there, default=0))
        else:
            there.add(value)
    return sorted(entries, key=lambda each: each.end_s), there


def looked_at(entries, there, **more):
    history = History()
    for e in entries:
        history.add(e.client, e.begin_s, e.end_s, e.kind, e.outcome, e.value, e.key)
    checker = checked(history.rows())
    return checker.anomalies(**more), checker.presence(there, history.rows())


@given(st.integers(0, 10**9), st.integers(1, 200))
def test_a_cluster_that_keeps_its_word_has_no_anomaly(seed, operations):
    entries, there = simulated(seed, operations)
    found, presence = looked_at(entries, there)
    assert not found.found, found
    assert presence == Presence(found=len(there)), presence
    assert found.acknowledged == sum(e.outcome is ACK and e.kind is Kind.WRITE for e in entries)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**9), st.data())
def test_each_planted_anomaly_is_found_and_named_alone(seed, data):
    entries, there = simulated(seed, 80)
    acknowledged = sorted(e.value for e in entries if e.kind is Kind.WRITE and e.outcome is ACK)
    one = data.draw(st.sampled_from(acknowledged))
    refused = [e.value for e in entries if e.outcome is REFUSED and e.kind is Kind.WRITE]

    _, presence = looked_at(entries, there - {one})
    assert presence.lost == Some(1, (one,))
    assert not presence.phantom

    nobody = 10_000 + one
    _, presence = looked_at(entries, [*there, nobody, *refused])
    assert presence.phantom.count == 1 + len(refused)
    assert not presence.lost

    _, presence = looked_at(entries, [*there, one])
    assert presence.applied_twice == Some(1, (one,))

    again = next(e for e in entries if e.value == one and e.kind is Kind.WRITE)
    last = max(e.end_s for e in entries)
    found, _ = looked_at([*entries, replace(again, begin_s=last, end_s=last + 1, client=99)], there)
    assert found.acknowledged_twice == Some(1, (one,))
    assert not found.stale_reads

    found, _ = looked_at(
        [*entries, Entry(99, last + 1, last + 2, Kind.READ, ACK, max(acknowledged) - 1)], there
    )
    assert found.stale_reads == Some(1, (max(acknowledged) - 1,))
    assert found.longest_stale_s > 0

    found, _ = looked_at([*entries, Entry(99, last + 1, last + 2, Kind.READ, ACK, nobody)], there)
    assert found.unborn_reads == Some(1, (nobody,))


def test_a_read_that_began_before_the_acknowledgement_is_not_stale():
    write = Entry(0, 1.0, 2.0, Kind.WRITE, ACK, 1)
    assert not looked_at([write, Entry(1, 1.9, 3.0, Kind.READ, ACK, 0)], {1})[0].found
    found = looked_at([write, Entry(1, 2.5, 3.0, Kind.READ, ACK, 0)], {1})[0]
    assert found.stale_reads == Some(1, (0,))
    assert found.longest_stale_s == pytest.approx(0.5)


def test_order_within_a_client_is_looked_at():
    overlapping = [Entry(0, 1.0, 2.0, Kind.WRITE, ACK, 1), Entry(0, 1.5, 3.0, Kind.WRITE, ACK, 3)]
    assert looked_at(overlapping, {1, 3})[0].out_of_order == Some(1, (0,))
    falling = [Entry(0, 1.0, 2.0, Kind.WRITE, ACK, 3), Entry(0, 2.0, 3.0, Kind.WRITE, ACK, 1)]
    assert looked_at(falling, {1, 3})[0].out_of_order == Some(1, (0,))
    # Neither write was acknowledged before these reads, so only their own order says that something was taken back.
    back = [
        Entry(1, 1.0, 2.0, Kind.READ, ACK, 5),
        Entry(1, 2.0, 3.0, Kind.READ, ACK, 4),
        Entry(0, 0.5, 4.0, Kind.WRITE, OPEN, 4),
        Entry(2, 0.5, 4.0, Kind.WRITE, OPEN, 5),
    ]
    found = looked_at(back, {4, 5})[0]
    assert found.out_of_order == Some(1, (1,))
    assert not found.stale_reads


def counted(client, at, value, outcome=ACK, key=7):
    return Entry(client, at, at + 1.0, Kind.INCREMENT, outcome, value, key)


def test_lost_updates_are_found_by_equal_counts_and_by_the_last_count():
    good = [counted(0, 1.0, 1), counted(1, 2.0, 2), counted(0, 3.0, 3, OPEN)]
    assert not looked_at(good, (), counters={7: 2})[0].found
    assert not looked_at(good, (), counters={7: 3})[0].found
    assert looked_at([*good, counted(2, 4.0, 2)], (), counters={7: 3})[0].lost_updates == Some(1, (7,))
    assert looked_at(good, (), counters={7: 1})[0].lost_updates == Some(1, (7,))


def test_a_lost_end_is_told_from_single_lost_rows():
    entries = [Entry(0, n, n + 0.5, Kind.WRITE, ACK, n) for n in range(1, 11)]
    _, presence = looked_at(entries, range(1, 8))
    assert presence.lost == Some(3, (8, 9, 10))
    assert (presence.tail, presence.lost_s) == (True, 2.0)
    _, presence = looked_at(entries, {*range(1, 11)} - {4})
    assert (presence.tail, presence.lost_s) == (False, 6.0)


def test_an_id_that_was_sent_and_never_recorded_is_no_phantom():
    history = [Entry(0, 1.0, 2.0, Kind.WRITE, ACK, 1)]
    checker = checked((e.client, e.begin_s, e.end_s, e.kind, e.outcome, e.value, e.key) for e in history)
    assert checker.anomalies(unanswered=[3]) == Anomalies(acknowledged=1, indeterminate=1)
    assert checker.presence([1, 3]) == Presence(found=2)


def test_ids_that_are_named_are_few_and_the_rest_is_counted():
    assert str(Some(7, (1, 2, 3, 4, 5))) == "1, 2, 3, 4, 5 and 2 more"
    assert str(Some(2, (1, 2))) == "1, 2"


def many(count):
    for n in range(count):
        yield n % 4, n * 1e-4, n * 1e-4 + 3e-4, Kind.WRITE, ACK, n + 1, 0


@pytest.mark.parametrize("count", [200_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_what_is_held_is_some_bits_for_each_id_and_a_window(count):
    checker = checked(many(count))
    assert len(checker.acknowledged) == count
    assert checker.acknowledged.held_bytes < count / 8 + 10_000
    assert len(checker._ends) <= 150_000
    assert checker.presence(range(1, count + 1)) == Presence(found=count)
