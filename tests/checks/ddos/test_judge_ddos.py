"""What a burst and held connections mean, in words that say what to change."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pytest_deploygate.checks.ddos import judge
from pytest_deploygate.checks.ddos.facts import Attempt, Crowd, Drilled, Held, Trial
from pytest_deploygate.checks.ddos.section import Ddos
from pytest_deploygate.drills.record import GOOD, Evidence, Record
from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.model import Judgement, Verdict

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
SOURCE, SECOND, FRONT = "192.0.2.10", "192.0.2.11", "192.0.2.1"
SERVED, REFUSED = 200, 429


def section(**more: Any) -> Ddos:
    limit = {
        "name": "search",
        "url": f"http://{FRONT}/search",
        "rate": "10/s",
        "burst": 10,
        "paths": ["/catalog"],
        "recovers": "10s",
        **more.pop("limit", {}),
    }
    slow = {"name": "front", "url": f"http://{FRONT}/", "headers_within": "5s", "body_within": "10s"}
    return Ddos.model_validate(
        {"limits": [limit], "slow": [slow], "second": {"address": SECOND}, "opt_in": "prod", **more}
    )


def attempt(phase: str, sent_s: float, status: int = SERVED, **more: Any) -> Attempt:
    more.setdefault("served", status == SERVED)
    return Attempt(phase, sent_s, more.pop("answered_s", sent_s + 0.002), status, **more)


def plain(rate: float = 10.0, capacity: int = 11, status: int = REFUSED, **more: Any) -> list[Attempt]:
    """A burst at once, then 20 requests a second, against a bucket."""
    tokens, last, found = float(capacity), 0.0, []
    times = [("burst", n * 0.001) for n in range(20)] + [("sustain", 0.05 + n * 0.05) for n in range(40)]
    for phase, at in times:
        tokens = min(capacity, tokens + (at - last) * rate)
        last = at
        passes = tokens >= 1
        tokens -= passes
        found.append(attempt(phase, at) if passes else attempt(phase, at, status, **more))
    return found


def around(phase: str, begins_s: float, *, leads: bool = False) -> list[Attempt]:
    """Sixteen requests that try a way around, with eight ordinary ones between them."""
    found = []
    for number in range(16):
        at = begins_s + number * 0.01
        found.append(attempt(phase, at, SERVED if leads else REFUSED, varied=True))
        if number % 2:
            found.append(attempt(phase, at + 0.005, REFUSED))
    return found


def others(status: int = SERVED, phase: str = "burst", **more: Any) -> tuple[Attempt, ...]:
    return (attempt("control", -0.5), *(attempt(phase, n * 0.2, status, **more) for n in range(8)))


def trial(**changes: Any) -> Trial:
    attempts = changes.pop("plain", None) or plain()
    ways = changes.pop("ways", None) or [
        *around("query", 2.2),
        *around("path", 2.5),
        *around("forged", 2.8),
    ]
    recovery = changes.pop("recovery", None) or [attempt("recovery", 4.0)]
    good = Trial(
        "search",
        FRONT,
        SOURCE,
        SECOND,
        True,
        (attempt("control", -1.0), *attempts, *ways, *recovery),
        others(),
    )
    return replace(good, **changes)


def held(kind: str = "headers", **changes: Any) -> Held:
    return replace(Held("front", kind, FRONT, cut_s=(2.0, 2.1), waited_s=6.5), **changes)


def judged(
    *trials: Trial, slow: tuple[Held, ...] = (held(),), by: Ddos | None = None, **changes: Any
) -> Judgement:
    record = Record(NOW, GOOD, Drilled(trials or (trial(),), slow), environment="prod")
    evidence = Evidence(record, "", "", True, {}, "prod", NOW)
    return judge.judge(replace(evidence, **changes), by or section())


def fails(found: Judgement, *words: str) -> None:
    assert found.verdict is Verdict.FAIL, found.reason
    for word in words:
        assert word in found.reason


def unknown(found: Judgement, *words: str) -> None:
    assert found.verdict is Verdict.INCONCLUSIVE, found.reason
    for word in words:
        assert word in found.reason


def test_a_limit_in_force_passes():
    found = judged()
    assert found.verdict is Verdict.PASS, found.reason
    rate = next(r for r in found.readings if "rate let through" in r.name)
    assert rate.ok
    assert "per second" in rate.unit


def test_no_limit():
    served = [attempt("burst", n * 0.001) for n in range(20)]
    served += [attempt("more", 0.1 + n * 0.01) for n in range(200)]
    fails(judged(trial(plain=served, ways=[attempt("x", 3.0)])), "no limit: all 220 requests", "limit_req")


def test_a_machine_that_sends_too_slowly_meets_no_limit():
    served = [attempt("burst", n * 0.2) for n in range(12)]
    unknown(
        judged(trial(plain=served, ways=[attempt("x", 3.0)])),
        "this machine could not send more",
        "raise `connections`",
    )


def test_delays_instead_of_refusals_are_no_limit_that_is_known():
    served = [attempt("burst", n * 0.1, answered_s=n * 0.1 + 2.0) for n in range(20)]
    unknown(judged(trial(plain=served, ways=[attempt("x", 3.0)])), "delays instead of refusing", "nodelay")


@pytest.mark.parametrize(
    ("rate", "capacity", "words"),
    [(30.0, 11, "or more requests per second"), (18.0, 11, "the limit is too high")],
)
def test_a_rate_that_is_too_high(rate, capacity, words):
    fails(judged(trial(plain=plain(rate, capacity))), words)


def test_a_rate_that_each_of_several_servers_counts():
    more = [attempt("more", n * 0.01, SERVED if n < 33 or n % 3 == 0 else REFUSED) for n in range(300)]
    fails(judged(trial(plain=more)), "3 times as many (does each of 3 servers count for itself?)")


def test_a_burst_that_is_too_high():
    more = plain(10.0, 18)
    fails(judged(trial(plain=more)), "requests at once were let through, declared are 10")


def test_a_tighter_limit_is_a_note():
    found = judged(trial(plain=plain(4.0, 11)))
    assert found.verdict is Verdict.PASS
    assert any("tighter than declared" in note for note in found.notes)


def test_answers_that_come_too_slowly_leave_the_rate_open():
    late = [replace(each, answered_s=each.sent_s + 1.2) for each in plain()]
    assert judged(trial(plain=late)).verdict is Verdict.INCONCLUSIVE


def test_everybody_is_limited():
    found = judged(trial(others=others(REFUSED)))
    fails(found, "everybody is limited: the second source was refused 8 of 8 times", "$binary_remote_addr")


def test_a_limit_by_path_alone():
    ways = [*around("query", 2.2, leads=True), *around("path", 2.5, leads=True), *around("forged", 2.8)]
    found = judged(trial(ways=ways, others=others(REFUSED)))
    fails(found, "the limit counts by path, for all sources together", "another query string and other paths")
    assert "everybody is limited" not in found.reason


def test_a_limit_by_source_and_path():
    ways = [*around("query", 2.2), *around("path", 2.5, leads=True), *around("forged", 2.8)]
    found = judged(trial(ways=ways))
    fails(found, "the limit counts by path: other paths escape it")
    assert "all sources" not in found.reason


def test_forged_headers_escape():
    ways = [*around("query", 2.2), *around("forged", 2.8, leads=True), *around("X-Real-IP", 3.1, leads=True)]
    ways += around("X-Forwarded-For", 3.4)
    found = judged(trial(ways=ways))
    fails(found, "a forged X-Real-IP escapes the limit")
    assert "X-Forwarded-For" not in found.reason


def test_a_way_on_which_nothing_passes_is_closed_however_slowly_it_was_tried():
    slow = [replace(each, sent_s=2.2 + n * 0.5) for n, each in enumerate(around("query", 2.2))]
    slow = [replace(each, answered_s=each.sent_s + 0.002) for each in slow]
    assert judged(trial(ways=[*slow, *around("forged", 15.0)])).verdict is Verdict.PASS


def test_a_way_that_was_tried_too_slowly_is_unknown():
    slow = [replace(each, sent_s=2.2 + n * 0.5) for n, each in enumerate(around("query", 2.2))]
    slow = [replace(each, answered_s=each.sent_s + 0.002) for each in slow]
    slow[0] = replace(slow[0], status=SERVED, served=True)
    found = judged(trial(ways=[*slow, *around("forged", 15.0)]))
    unknown(found, "whether another query string leads around the limit is unknown")


def test_a_way_whose_requests_meet_errors_is_unknown():
    broken = [replace(each, status=500) if each.varied else each for each in around("path", 2.2)]
    unknown(judged(trial(ways=broken)), "such requests met 500")


def test_both_sources_behind_one_address_are_unknown():
    found = judged(
        trial(address="198.51.100.1", source="10.0.0.5", second="10.0.0.6", others=others(REFUSED))
    )
    # 198.51.100.0/24 is kept for examples, which Python counts as private.
    assert found.verdict is Verdict.FAIL
    found = judged(trial(address="8.8.4.4", source="10.0.0.5", second="10.0.0.6", others=others(REFUSED)))
    unknown(found, "may be one to the front", "second: {host: …}")


def test_one_source_is_no_second_one():
    unknown(judged(trial(second=SOURCE)), "both sources are 192.0.2.10")


def test_a_second_source_that_is_not_served():
    lost = others(0, served=False, problem="silent")
    unknown(judged(trial(others=lost)), "the second source met no answer in time in 8 of 8 requests")


def test_a_second_source_that_meets_an_overload():
    unknown(judged(trial(others=others(503))), "the second source met HTTP 503 in 8 of 8", "overloaded")


def test_a_second_source_that_waits():
    late = tuple(replace(each, answered_s=each.sent_s + 3.0) for each in others())
    fails(judged(trial(others=late)), "the second source waited 3 s for an answer", "limit 2 s")


def test_our_own_delay_is_not_the_service_s():
    late = tuple(replace(each, answered_s=each.sent_s + 3.0) for each in others())
    unknown(judged(trial(others=late, lag=OwnLag(over_s=4.0, late_s=2.0))), "may be our own delay")


def test_too_few_answers_of_the_second_source():
    unknown(judged(trial(others=others()[:3])), "got 2 answers during the burst", "with a chance of")


def test_answers_of_the_second_source_before_and_after_the_burst_do_not_count():
    late = tuple(
        attempt("burst", at, REFUSED if at > 5 else SERVED)
        for at in (-0.3, *(n * 0.2 for n in range(10)), 5.5)
    )
    found = judged(trial(others=late))
    assert found.verdict is Verdict.PASS, found.reason


def test_where_the_second_source_cannot_be_shut_out_is_a_note_when_it_asked_little():
    attempts = (*trial().attempts[:-1], *(attempt("share", 3.2 + n * 0.01, varied=True) for n in range(15)))
    few = replace(trial(), attempts=(*attempts, attempt("recovery", 4.0)))
    found = judged(replace(few, others=(*others(), attempt("share", 3.3))))
    assert found.verdict is Verdict.PASS
    assert any("shut out in its name is not known" in note for note in found.notes)


def test_a_limit_that_is_used_up_in_ones_name():
    attempts = (*trial().attempts[:-1], *(attempt("share", 3.2 + n * 0.01, varied=True) for n in range(15)))
    attempts += (attempt("recovery", 4.0),)
    both = (*others(), *(attempt("share", 3.3 + n * 0.2, REFUSED) for n in range(2)))
    found = judged(replace(trial(), attempts=attempts, others=both))
    fails(found, "with its address in a header: anybody can shut others out")


def test_a_source_that_is_never_served_again():
    never = [attempt("recovery", 4.0 + n * 3, REFUSED) for n in range(4)]
    fails(judged(trial(recovery=never)), "still refused (HTTP 429)", "limit 10 s", "`recovers`")


def test_a_source_that_is_served_again_too_late():
    late = [attempt("recovery", 4.0, REFUSED), attempt("recovery", 18.0)]
    fails(judged(trial(recovery=late)), "served again only", "limit 10 s")


def test_retry_after_that_promises_too_much_is_a_note():
    late = [attempt("recovery", 4.0, REFUSED, wait="1"), attempt("recovery", 6.0)]
    found = judged(trial(recovery=late))
    assert found.verdict is Verdict.PASS
    assert any("promises too much" in note for note in found.notes)


def test_a_refusal_by_another_status():
    fails(
        judged(trial(plain=plain(status=403), ways=[attempt("x", 3.0)])),
        "refused with HTTP 403, not 429 or 503",
        "limit_req_status",
    )


def test_errors_are_neither_served_nor_refused():
    unknown(judged(trial(plain=plain(status=502))), "met HTTP 502", "neither served nor refused")


def test_a_refused_connection_is_no_refusal_of_the_limit():
    closed = plain(status=0, problem="closed")
    unknown(judged(trial(plain=closed)), "met a closed connection")


@pytest.mark.parametrize(("wait", "good"), [("", False), ("soon", False), ("5", True), ("-5", False)])
def test_retry_after(wait, good):
    found = judged(
        trial(plain=plain(wait=wait), ways=[attempt("x", 3.0)]), by=section(limit={"retry_after": True})
    )
    assert (found.verdict is Verdict.PASS) is good, found.reason
    if not good:
        assert "Retry-After" in found.reason


def test_retry_after_as_a_date():
    date = "Sun, 29 Nov 2026 12:00:05 GMT"
    found = judged(
        trial(plain=plain(wait=date), ways=[attempt("x", 3.0)]), by=section(limit={"retry_after": True})
    )
    assert found.verdict is Verdict.PASS, found.reason


def test_no_retry_after_is_good_where_nobody_asks_for_it():
    assert judged(trial(plain=plain(wait=""))).verdict is Verdict.PASS


def test_headers_about_the_limit_are_a_note():
    found = judged(trial(told=("RateLimit: limit=10, remaining=0, reset=1",)))
    assert any("RateLimit: limit=10" in note for note in found.notes)


def test_a_trial_that_could_not_begin():
    unknown(
        judged(trial(problem="the second source is not answered as expected")), "not answered as expected"
    )


def test_a_window_lets_through_what_is_declared():
    served = [attempt("burst", n * 0.001, SERVED if n < 10 else REFUSED) for n in range(20)]
    served += [attempt("sustain", 0.1 + n * 0.05, REFUSED) for n in range(40)]
    found = judged(trial(plain=served))
    assert found.verdict is Verdict.PASS, found.reason
    assert any("let through in" in reading.name for reading in found.readings)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("headers", "client_header_timeout"),
        ("body", "http-buffer-request"),
        ("stalled-body", "client_body_timeout"),
        ("silent", "timeout client"),
        ("kept", "keepalive_timeout"),
        ("reader", "send_timeout"),
    ],
)
def test_connections_that_are_held(kind, words):
    found = judged(slow=(held(kind, cut_s=(2.0,), open=2),))
    fails(found, "2 of 3 connections with", "were still open", words)


def test_connections_over_http2_are_named():
    fails(judged(slow=(held(protocol="HTTP/2", cut_s=(), open=2),)), "headers that come slowly over HTTP/2")


def crowded(crowd: Crowd | None, most: int | None = 10) -> Judgement:
    slow = {"name": "front", "url": f"http://{FRONT}/", "most_connections": most}
    facts = Drilled((trial(),), (held(),), (), (crowd,) if crowd else ())
    record = Record(NOW, GOOD, facts, environment="prod")
    return judge.judge(Evidence(record, "", "", True, {}, "prod", NOW), section(slow=[slow]))


def test_connections_of_one_source():
    assert crowded(Crowd("front", FRONT, 10, 3)).verdict is Verdict.PASS
    fails(
        crowded(Crowd("front", FRONT, 13, 0)), "one source held 13 of 13 connections, limit 10", "limit_conn"
    )
    unknown(crowded(Crowd("front", FRONT, 5, 0)), "only 5 connections were tried")
    unknown(crowded(Crowd("front", FRONT, problem="answered with 405")), "is not known: answered with 405")
    unknown(crowded(None), "was not tried on front")
    assert crowded(None, most=None).verdict is Verdict.PASS


def test_connections_that_are_cut_late():
    fails(judged(slow=(held(cut_s=(4.0, 6.0)),)), "were cut only after 6 s, limit 5 s")


def test_connections_that_we_saw_cut_late():
    late = held(cut_s=(4.0, 6.0), lag=OwnLag(over_s=6.0, late_s=3.0))
    unknown(judged(slow=(late,)), "cut only after 6 s", "our own delay")


def test_connections_to_a_server_that_does_not_serve():
    unknown(judged(slow=(held(control="HTTP 502"),)), "an ordinary request met HTTP 502")


def test_connections_that_could_not_be_held():
    unknown(judged(slow=(held(cut_s=(), problem="no connection: refused"),)), "no connection: refused")
    unknown(judged(slow=(held(cut_s=()),)), "no connection was held")


def test_what_was_not_tried_is_unknown():
    unknown(judged(slow=()), "front was not tried")


def test_nothing_ran_and_nothing_is_on_record():
    evidence: Evidence[Drilled] = Evidence(
        None, "there is no record x.json", "x.json", False, {}, "prod", NOW
    )
    found = judge.judge(evidence, section())
    unknown(found, "no burst on record", "--allow-disruptive=prod", "`opt_in: prod`")


def test_an_old_record_does_not_count():
    record = Record(NOW - timedelta(days=91), GOOD, Drilled((trial(),), (held(),)), environment="prod")
    found = judge.judge(Evidence(record, "", "x.json", False, None, "prod", NOW), section())
    unknown(found, "old, limit 90 d")


def test_a_record_counts():
    record = Record(NOW - timedelta(days=9), GOOD, Drilled((trial(),), (held(),)), environment="prod")
    found = judge.judge(Evidence(record, "", "x.json", False, None, "prod", NOW), section())
    assert found.verdict is Verdict.PASS
    assert "on record, 2026-11-20" in found.reason


def prolonged(*ways: Attempt) -> Judgement:
    """A window that each request prolongs: after the burst, nothing passes for as long as somebody asks."""
    burst = [attempt("burst", n * 0.001, SERVED if n < 11 else REFUSED) for n in range(20)]
    asked = [attempt("sustain", 0.05 + n * 0.05, REFUSED) for n in range(40)]
    rest = [*around("query", 2.2), *around("path", 2.5), *around("forged", 2.8)]
    phases = {each.phase for each in ways}
    return judged(trial(plain=[*burst, *asked], ways=[*(e for e in rest if e.phase not in phases), *ways]))


def test_a_window_that_each_request_prolongs_passes():
    assert prolonged().verdict is Verdict.PASS


def test_a_window_that_was_forgotten_while_our_machine_stalled_leads_nobody_around():
    """A second without a request, then eleven pass, forged or not, and the window is full again."""
    late = [
        attempt("forged", 4.0 + n * 0.01, SERVED if n < 16 else REFUSED, varied=n % 3 > 0) for n in range(40)
    ]
    found = prolonged(*late)
    assert "escapes" not in found.reason
    assert found.verdict is Verdict.PASS


def test_a_window_that_has_let_some_through_after_a_pause_leads_nobody_around():
    """Three streams of one HTTP/2 connection pass a third of a second after the last request."""
    sent = [attempt("http2", 3.6 + n * 0.01, REFUSED) for n in range(3)]
    sent += [attempt("http2", 3.95, SERVED if n < 3 else REFUSED, varied=True) for n in range(16)]
    sent += [attempt("http2", 4.0 + n * 0.01, REFUSED) for n in range(3)]
    found = prolonged(*sent)
    assert "escape" not in found.reason
    assert found.verdict is Verdict.PASS


def test_a_way_around_a_window_is_found_beside_ordinary_requests_that_are_refused():
    found = prolonged(*around("forged", 2.8, leads=True))
    assert found.verdict is Verdict.FAIL
    assert "a forged X-Forwarded-For" in found.reason


def test_a_way_that_was_tried_only_while_the_window_was_forgotten_is_unknown():
    late = [attempt("forged", 4.0 + n * 0.01, SERVED, varied=n % 3 > 0) for n in range(11)]
    found = prolonged(*late, attempt("forged", 4.2, REFUSED))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "a forged address leads around the limit is unknown" in found.reason
