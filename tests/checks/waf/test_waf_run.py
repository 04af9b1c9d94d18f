"""Runs against a small server: what is blocked, what ends a run, what is not known, and ways around."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from waf_server import WafServer, serving

from pytest_deploygate.checks.hosts.section import Host
from pytest_deploygate.checks.waf import judge, probe
from pytest_deploygate.checks.waf.facts import Opening, Result, Run
from pytest_deploygate.checks.waf.probe import from_hosts
from pytest_deploygate.checks.waf.probe.measure import measure
from pytest_deploygate.checks.waf.section import Waf
from pytest_deploygate.clients import stopping
from pytest_deploygate.clients.budget import AGENT, Ended, unrecorded
from pytest_deploygate.judging.spending import Limits
from pytest_deploygate.model import CannotTell, Judgement, NotReached, Verdict


@pytest.fixture
def server():
    with serving(WafServer()) as made:
        yield made


def section(server: WafServer, **more: object) -> Waf:
    given = {
        "url": server.url,
        "read": "/search",
        "write": "/api/echo",
        "opt_in": "t",
        "timeout": "3s",
        "connections": 4,
        "without": ["path", "header", "cookie", "json", "multipart", "upload"],
    }
    if "origins" not in more:
        given["no_origins"] = "a server of the test"
    return Waf.model_validate(given | more)


def judged(waf: Waf) -> tuple[Run, Judgement]:
    found = probe.attack(waf, "t", unrecorded("sec.waf"), allowed=False)
    return found.record.facts, judge.judge(found, waf)


def test_blocked_and_passed(server):
    run, judgement = judged(section(server, without=[]))
    results = {attack.name: attack.result for attack in run.attacks}
    assert results["sqli.union/query/plain"] is Result.BLOCKED
    assert results["sqli.login/query/plain"] is Result.PASSED
    assert 0 < len(server.seen) - run.requests < 100  # the control of the budget
    assert not run.ended
    assert {one.result for one in run.sentinels} == {Result.PASSED}
    assert len(run.attacks) >= 500
    assert {header["User-Agent"].split(" ")[0] for _, _, header, _ in server.seen} == {AGENT}
    assert {header["Deploygate-Probe"] for _, _, header, _ in server.seen} == {"sec.waf"}
    assert judgement.verdict is Verdict.FAIL  # this server has few rules


def test_off_is_none_blocked(server):
    server.blocks = False
    run, judgement = judged(section(server))
    assert not [attack for attack in run.attacks if attack.result is Result.BLOCKED]
    assert judgement.verdict is Verdict.FAIL
    assert "only watches" in judgement.reason


def test_a_ban_voids_the_run_and_ends_it(server):
    server.ban_after = 30
    run, judgement = judged(section(server, sources=["127.0.0.2"]))
    assert run.ended == "sentinel"
    assert len(run.attacks) < 150
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "banned in the middle" in judgement.reason
    assert "127.0.0.2 is still served" in judgement.reason


def test_a_rate_limit_is_told_from_a_ban(server):
    server.ban_after, server.status = 30, 429
    _, judgement = judged(section(server))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "a rate limit stopped the run" in judgement.reason


def test_a_ban_from_before_is_told_from_a_waf_that_blocks_everyone(server):
    server.ban_after = 0
    server.blocked["127.0.0.2"] = -1
    run, judgement = judged(section(server, sources=["127.0.0.2"]))
    assert not run.attacks
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "127.0.0.2 is served: our address is banned" in judgement.reason


def test_blocks_everyone(server):
    server.reject_all = True
    run, judgement = judged(section(server, sources=["127.0.0.2"]))
    assert not run.attacks
    assert judgement.verdict is Verdict.FAIL
    assert "the WAF blocks everyone" in judgement.reason


def test_with_one_source_it_is_not_known_which(server):
    server.reject_all = True
    _, judgement = judged(section(server))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "waf.sources" in judgement.reason


def test_an_error_of_the_application_is_no_block(server):
    server.blocks, server.error_on_attack = False, 400
    run, judgement = judged(section(server))
    assert not [attack for attack in run.attacks if attack.result is Result.BLOCKED]
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "400 (" in judgement.reason


def test_an_error_with_the_applications_header_has_passed(server):
    server.blocks, server.error_on_attack, server.header = False, 400, "X-Served-By"
    _, judgement = judged(section(server, reached={"header": "X-Served-By"}))
    assert judgement.verdict is Verdict.FAIL
    assert "none of" in judgement.reason


@pytest.mark.parametrize("declared", [False, True])
def test_a_block_page_with_200(server, declared):
    server.status, server.page = 200, "<title>Request rejected</title><p>Incident 8f3a99c1</p>"
    more = {"blocked": {"pattern": "Request rejected"}} if declared else {}
    run, judgement = judged(section(server, **more))
    results = {attack.name: attack.result for attack in run.attacks}
    assert results["sqli.union/query/plain"] is (Result.BLOCKED if declared else Result.UNRESOLVED)
    if not declared:
        assert judgement.verdict is Verdict.INCONCLUSIVE
        assert "Request rejected Incident #" in judgement.reason
        assert "waf.blocked.pattern" in judgement.reason


def test_an_origin_that_serves(server):
    with serving(WafServer()) as origin:
        origin.blocks = False
        run, judgement = judged(section(server, origins=[origin.url]))
    assert [door.opening for door in run.doors] == [Opening.SERVED]
    assert judgement.verdict is Verdict.FAIL
    assert "answers around the WAF over IPv4" in judgement.reason


def test_an_origin_with_a_waf_of_its_own(server):
    with serving(WafServer()) as origin:
        assert [
            door.opening
            for door in measure(section(server, origins=[origin.url]), unrecorded("sec.waf"), {}).doors
        ] == [Opening.GUARDED]


def test_an_origin_on_ipv6_alone(server):
    try:
        origin = WafServer("::1")
    except OSError:
        pytest.skip("no ::1 here")
    with serving(origin):
        origin.blocks = False
        closed = f"http://127.0.0.1:{origin.port}"
        run, judgement = judged(section(server, origins=[closed, origin.url]))
    assert [door.opening for door in run.doors] == [Opening.CLOSED, Opening.SERVED]
    assert "around the WAF over IPv6" in judgement.reason
    assert "for IPv6 as well as IPv4" in judgement.reason


def test_an_origin_that_refuses(server):
    with serving(WafServer()) as origin:
        origin.reject_all = True
        assert [
            door.opening
            for door in measure(section(server, origins=[origin.url]), unrecorded("sec.waf"), {}).doors
        ] == [Opening.REFUSES]


def test_an_origin_without_a_name(server):
    run, _ = judged(section(server, origins=["http://origin.invalid"]))
    assert [door.opening for door in run.doors] == [Opening.UNKNOWN]


def host(**more: object) -> dict[str, Host]:
    return {"web1": Host.model_validate({"name": "web1", "connection": "local://"} | more)}


def test_an_origin_from_a_host(server):
    with serving(WafServer()) as origin, serving(WafServer()) as guarded:
        origin.blocks = False
        with socket.create_server(("127.0.0.1", 0)) as taken:
            closed = f"http://127.0.0.1:{taken.getsockname()[1]}"
        waf = section(server, origins=[origin.url, guarded.url, closed], origins_from=["web1", "web2"])
        run = measure(waf, unrecorded("sec.waf"), host())
    found = {(door.vantage, door.origin): door.opening for door in run.doors}
    assert found["web1", origin.url] is Opening.SERVED
    assert found["web1", guarded.url] is Opening.GUARDED
    assert found["web1", closed] is Opening.CLOSED
    assert found["web2", closed] is Opening.UNKNOWN
    assert {header["User-Agent"].split(" ")[0] for _, _, header, _ in origin.seen} == {AGENT}
    assert {header["Deploygate-Probe"] for _, _, header, _ in origin.seen} == {"sec.waf"}


def test_each_origin_from_its_own_hosts(server):
    with serving(WafServer()) as origin, serving(WafServer()) as other:
        origin.reject_all = other.reject_all = True
        waf = section(server, origins=[origin.url, {"url": other.url, "also_from": ["web1"]}])
        run = measure(waf, unrecorded("sec.waf"), host())
    assert [(door.origin, door.vantage, door.opening) for door in run.doors] == [
        (origin.url, "here", Opening.REFUSES),
        (other.url, "here", Opening.REFUSES),
        (other.url, "web1", Opening.REFUSES),
    ]


def test_a_host_that_cannot_be_asked(server):
    waf = section(server, origins=["http://127.0.0.1:1"], origins_from=["web1"])
    run = measure(waf, unrecorded("sec.waf"), host(connection="ssh://127.0.0.1:1"))
    assert [door.opening for door in run.doors] == [Opening.CLOSED, Opening.UNKNOWN]


def test_a_host_with_python_alone(server, monkeypatch):
    monkeypatch.setattr(from_hosts, "_CURL", "no-such-curl")
    with serving(WafServer()) as origin:
        origin.blocks = False
        waf = section(server, origins=[origin.url], origins_from=["web1"])
        run = measure(waf, unrecorded("sec.waf"), host())
    assert [door.opening for door in run.doors] == [Opening.SERVED, Opening.SERVED]


def test_own_ordinary_requests(server):
    own = {
        "method": "PUT",
        "path": "/api/echo",
        "json": {"text": "you can select a script"},
        "headers": {"X-A": "b"},
    }
    run, judgement = judged(section(server, ordinary=[own]))
    mine = next(one for one in run.ordinary if one.traffic == "own")
    assert mine.result is Result.BLOCKED
    assert "PUT /api/echo" in judgement.reason
    assert any(method == "PUT" and header.get("X-A") == "b" for method, _, header, _ in server.seen)


def test_nothing_listens():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    waf = Waf.model_validate(
        {
            "url": f"http://127.0.0.1:{port}",
            "read": "/",
            "write": "/",
            "no_origins": "a server of the test",
            "opt_in": "t",
        }
    )
    with pytest.raises(NotReached, match="refused"):
        probe.attack(waf, "t", unrecorded("sec.waf"), allowed=False)


def test_a_path_that_is_not_answered_well(server):
    with pytest.raises(CannotTell, match="answers 404 to a plain GET"):
        probe.attack(section(server, read="/none"), "t", unrecorded("sec.waf"), allowed=False)
    assert not any("union" in path for _, path, _, _ in server.seen)


def test_no_attack_without_leave(server):
    with pytest.raises(CannotTell, match=r"no attack was sent: set `waf\.opt_in: prod`"):
        probe.attack(section(server, opt_in=""), "prod", unrecorded("sec.waf"), allowed=False)
    assert server.seen == []


def test_a_run_is_kept_and_judged_later(server, tmp_path):
    waf = section(server, record=str(tmp_path / "waf.json"), opt_in="")
    made = probe.attack(waf, "t", unrecorded("sec.waf"), allowed=True)
    sent = len(server.seen)
    later = probe.attack(waf, "t", unrecorded("sec.waf"), allowed=False)
    assert len(server.seen) == sent
    assert later.record.facts == made.record.facts
    assert judge.judge(later, waf).verdict is judge.judge(made, waf).verdict
    changed = section(server, record=waf.record, opt_in="", read="/api/echo")
    other = judge.judge(probe.attack(changed, "t", unrecorded("sec.waf"), allowed=False), changed)
    assert other.verdict is Verdict.INCONCLUSIVE
    assert "read was '/search', is '/api/echo'" in other.reason


def test_a_stop_ends_a_run_within_a_second(server, tmp_path):
    server.delay_s = 30.0
    file = tmp_path / "stop"
    budget = unrecorded("sec.waf", stop_file=file)
    try:
        threading.Timer(1.5, lambda: stopping.stop(file, "a test")).start()
        began = time.monotonic()
        with pytest.raises(Ended, match="stopped by the stop file"):
            probe.attack(section(server), "t", budget, allowed=False)
        assert time.monotonic() - began < 1.5 + 1.0
    finally:
        stopping.begin(None)


def test_a_budget_that_is_used_up_ends_a_run(server):
    budget = unrecorded("sec.waf", Limits(requests=60))
    with pytest.raises(Ended, match="60 requests of its budget are used up"):
        probe.attack(section(server), "t", budget, allowed=False)
    assert len(server.seen) <= 60


def test_the_time_is_over(server):
    run, judgement = judged(section(server, within="0s"))
    assert run.ended == "within"
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "raise `within`" in judgement.reason
