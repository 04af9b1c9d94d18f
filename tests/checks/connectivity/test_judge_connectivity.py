"""The judge, without a network."""

from __future__ import annotations

from pytest_deploygate.checks.connectivity import judge
from pytest_deploygate.checks.connectivity.facts import Cell, FullSize, Kind, Matrix, Place, Step, Try
from pytest_deploygate.checks.connectivity.section import Connectivity
from pytest_deploygate.judging.silent_hosts import Cause, Failure
from pytest_deploygate.model import Judgement, Verdict

GOOD = Try(name_s=0.001, connect_s=0.002, tls_s=0.004, first_s=0.006, status=200)
SLOW = Try(name_s=0.001, connect_s=0.9, tls_s=1.0, first_s=1.1, status=200)
SILENT = Try(Step.TCP, Kind.SILENT, "no answer within 3 s")
REFUSED = Try(Step.TCP, Kind.REFUSED, "Connection refused")
UNTRUSTED = Try(Step.TLS, Kind.REFUSED, "certificate not trusted: self-signed certificate", connect_s=0.001)
NO_ROUTE = Try(Step.TCP, Kind.NO_ROUTE, "Network is unreachable")
WHOLE = FullSize(1500, 1448, acknowledged=True)


def section(**limits: object) -> Connectivity:
    services = [
        {"name": name, "host": f"{name}.example.com", "port": 443, "tls": True, "speaks": "http"}
        for name in ("api", "cache")
    ]
    return Connectivity.model_validate(
        {"services": services, "rows": [{"from": "here", "to": "all"}], **limits}
    )


def cell(
    source: str,
    service: str,
    *tries: Try,
    address: str = "192.0.2.1",
    full: FullSize | None = WHOLE,
    late_s: float = 0.0,
) -> Cell:
    good = tries or (GOOD, GOOD)
    return Cell(source, service, address, good, None if all(each.failed for each in good) else full, late_s)


def judged(*cells: Cell, failures: dict[str, Failure] | None = None, **limits: object) -> Judgement:
    sources = dict.fromkeys([*(each.source for each in cells), *(failures or {})])
    places = tuple(Place(name, (failures or {}).get(name)) for name in sources)
    return judge.judge(Matrix(places, cells), section(**limits))


def test_all_cells_connected():
    found = judged(cell("web1", "api"), cell("web2", "api"), cell("web1", "cache"))
    assert found.verdict is Verdict.PASS
    assert "3 cells of 2 places and 2 services" in found.reason
    assert [each.name for each in found.readings][1:] == ["web1 → api", "web2 → api", "web1 → cache"]
    assert found.figures


def test_one_cell_cut_names_it_and_who_reaches_the_service():
    found = judged(cell("web1", "api", SILENT, SILENT), cell("web2", "api"), cell("web1", "cache"))
    assert found.verdict is Verdict.FAIL
    assert "web1 → api: TCP: no answer within 3 s" in found.reason
    assert "(web2 reaches it)" in found.reason
    assert "cache" not in found.reason


def test_a_certificate_that_one_place_does_not_trust():
    found = judged(cell("web1", "api", UNTRUSTED, UNTRUSTED), cell("web2", "api"))
    assert "web1 → api: TLS: certificate not trusted" in found.reason


def test_a_service_that_nobody_reaches_is_said_once():
    refused = [cell(name, "api", REFUSED, REFUSED) for name in ("web1", "web2", "here")]
    found = judged(*refused, cell("here", "cache"))
    assert found.verdict is Verdict.FAIL
    assert found.reason.startswith("api: from all 3 places: TCP: Connection refused")
    assert found.reason.count("refused") == 1


def test_this_machine_without_a_network_says_nothing_of_the_platform():
    found = judged(cell("here", "api", SILENT, SILENT), cell("here", "cache", NO_ROUTE, NO_ROUTE))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "check its own network first" in found.reason


def test_a_refusal_that_this_machine_gets_is_an_answer():
    assert judged(cell("here", "api", REFUSED, REFUSED)).verdict is Verdict.FAIL


def test_one_failure_of_three_is_no_verdict():
    found = judged(cell("web1", "api", GOOD, SILENT, GOOD))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "failed once of 3 times" in found.reason
    assert judged(cell("web1", "api", SILENT, GOOD, SILENT)).verdict is Verdict.FAIL


def test_one_of_several_addresses_that_is_dead():
    found = judged(cell("web1", "api"), cell("web1", "api", REFUSED, REFUSED, address="192.0.2.2"))
    assert found.verdict is Verdict.FAIL
    assert "at 192.0.2.2" in found.reason


def test_an_address_of_ipv6_that_costs_no_time_is_a_note():
    for met in (NO_ROUTE, REFUSED):
        found = judged(cell("web1", "api"), cell("web1", "api", met, met, address="2001:db8::1"))
        assert found.verdict is Verdict.PASS
        assert "2001:db8::1" in found.notes[0]
    silent = judged(cell("web1", "api"), cell("web1", "api", SILENT, SILENT, address="2001:db8::1"))
    assert silent.verdict is Verdict.FAIL
    alone = judged(cell("web1", "api", REFUSED, REFUSED, address="2001:db8::1"))
    assert alone.verdict is Verdict.FAIL


def test_no_route_over_ipv4_fails():
    assert judged(cell("web1", "api", NO_ROUTE, NO_ROUTE), cell("web2", "api")).verdict is Verdict.FAIL


def test_a_proxy_without_a_service_is_not_green():
    one = Try(name_s=0.001, connect_s=0.002, tls_s=0.004, first_s=0.006, status=503)
    found = judged(cell("web1", "api", one, one))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "HTTP 503" in found.reason


def test_the_better_of_two_times_counts():
    assert judged(cell("web1", "api", GOOD, SLOW)).verdict is Verdict.PASS
    found = judged(cell("web1", "api", SLOW, SLOW))
    assert found.verdict is Verdict.FAIL
    assert "the connection took 0.9 s twice, more than 0.5 s" in found.reason


def test_our_own_lag_is_not_the_networks():
    found = judged(cell("web1", "api", SLOW, SLOW, late_s=0.3))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "kept attempts waiting" in found.reason
    assert judged(cell("web1", "api", SILENT, SILENT, late_s=2.0)).verdict is Verdict.INCONCLUSIVE


def test_long_packets_that_are_lost():
    found = judged(cell("web1", "api", full=FullSize(1500, 1448, acknowledged=False)), cell("web2", "api"))
    assert found.verdict is Verdict.FAIL
    assert "packets with 1448 bytes get no acknowledgment" in found.reason


def test_a_path_that_takes_only_short_packets():
    found = judged(cell("web1", "api", full=FullSize(1400, 1348, acknowledged=True)), path_mtu=1500)
    assert found.verdict is Verdict.FAIL
    assert "at most 1400 bytes, less than 1500" in found.reason


def test_a_place_that_cannot_be_used():
    why = Failure(Cause.LOGIN, "it refuses our key")
    found = judged(cell("web1", "api"), failures={"web2": why})
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "web2: cannot be used: it refuses our key" in found.reason


def test_what_was_not_tried_to_its_end():
    found = judge.judge(Matrix((Place("web1"),), (), (("web1", "api"),)), section())
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "web1 → api: was not tried to its end" in found.reason


def test_nothing_at_all():
    assert judge.judge(Matrix((), ()), section()).verdict is Verdict.INCONCLUSIVE
