"""The shipped corpora against a real nginx with ModSecurity and OWASP CRS: its measured levels hold, and off means none."""

from __future__ import annotations

import pytest
from modsecurity_servers import HAS_NGINX, by_nginx

from pytest_deploygate.checks.waf import judge, probe
from pytest_deploygate.checks.waf.facts import Result
from pytest_deploygate.checks.waf.section import Waf
from pytest_deploygate.clients.budget import unrecorded
from pytest_deploygate.model import Judgement, Verdict

if not HAS_NGINX:
    pytest.skip("no ModSecurity with OWASP CRS here", allow_module_level=True)


def judged(port: int, **more: object) -> tuple[set[Result], Judgement]:
    given = {"url": f"http://127.0.0.1:{port}", "headers": {"Host": "shop.example.com"}, "read": "/search",
             "write": "/api/echo", "opt_in": "t", "crs": 3, "connections": 4, "no_origins": "a server of the test"}  # fmt: skip
    waf = Waf.model_validate(given | more)
    found = probe.attack(waf, "t", unrecorded("sec.waf"), allowed=False)
    return {each.result for each in found.record.facts.attacks}, judge.judge(found, waf)


@pytest.mark.parametrize("level", [1, 2])
def test_what_was_measured_holds(tmp_path, level):
    with by_nginx(tmp_path, level=level) as port:
        _, judgement = judged(port, paranoia=level, false_positives_percent=10 * (level - 1))
    assert judgement.verdict is Verdict.PASS, judgement.reason
    shares = [reading for reading in judgement.readings if reading.name.startswith("blocked: ")]
    assert {reading.value for reading in shares} == {100.0}


def test_a_level_that_is_lower_than_declared(tmp_path):
    with by_nginx(tmp_path, level=1) as port:
        _, judgement = judged(port, paranoia=2)
    assert judgement.verdict is Verdict.FAIL
    assert "server-side request forgery: 9 of 24 attacks are blocked" in judgement.reason


def test_off_means_none_blocked(tmp_path):
    with by_nginx(tmp_path, mode="Off") as port:
        results, judgement = judged(port)
    assert results == {Result.PASSED}
    assert judgement.verdict is Verdict.FAIL


def test_a_block_page_with_200_that_is_declared(tmp_path):
    with by_nginx(tmp_path, page="error_page 403 =200 /blocked.html;") as port:
        _, judgement = judged(port, blocked={"pattern": "<title>Request rejected"})
    assert judgement.verdict is Verdict.PASS, judgement.reason


def test_traffic_for_which_crs_needs_exclusions(tmp_path):
    with by_nginx(tmp_path) as port:
        _, judgement = judged(port, more_traffic=["prose"])
    assert judgement.verdict is Verdict.FAIL
    assert "ordinary requests are blocked" in judgement.reason
    assert "prose.union" in judgement.reason
