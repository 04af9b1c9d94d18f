"""The record of a name's failover drill: one of an earlier version counts while its configuration is unchanged."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest

from pytest_deploygate.checks.dns.judge import judge_failover
from pytest_deploygate.checks.dns.probe import failover_evidence
from pytest_deploygate.checks.dns.section import Dns, DnsFailover, DnsName, NameServer, Standby
from pytest_deploygate.model import Verdict

NAME = "app.example.com"


@pytest.fixture
def dns(tmp_path):
    """A zone with one name that fails over; the record does not exist yet."""
    name = DnsName(
        name=NAME,
        addresses=["192.0.2.10"],
        standby=Standby(address="192.0.2.20"),
        failover=DnsFailover(stop="stop", restore="restore", record=tmp_path / "drill.json"),
    )
    servers = [NameServer(name=each, address="192.0.2.53") for each in ("ns2", "ns1")]
    return Dns(zone="example.com", servers=servers, names=[name])


def earlier(parts, **changes):
    """What an earlier version wrote."""
    record = {
        "name": NAME,
        "at": datetime.now(UTC).isoformat(),
        "switched_s": 3.0,
        "back_s": 2.0,
        "outcome": "good",
    }
    return (
        record | {"digest": hashlib.sha256(json.dumps(parts).encode()).hexdigest(), "fresh": True} | changes
    )


def judged(dns):
    name = dns.names[0]
    return judge_failover(failover_evidence(dns, name, None, "prod"), name.failover)


PARTS = ["example.com", NAME, ["ns1", "ns2"], "192.0.2.20", "stop"]


def test_a_record_of_an_earlier_version_counts_for_the_same_configuration(dns, tmp_path):
    (tmp_path / "drill.json").write_text(json.dumps(earlier(PARTS)))
    assert judged(dns).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("record", "verdict", "says"),
    [
        (earlier([*PARTS[:4], "other"]), Verdict.INCONCLUSIVE, "its settings are not on record"),
        (earlier(PARTS, at=(datetime.now(UTC) - timedelta(days=99)).isoformat()), Verdict.INCONCLUSIVE, "limit 90 d"),
        (earlier(PARTS, outcome="it did not come back"), Verdict.FAIL, "failed: it did not come back"),
        (earlier(PARTS, at="2026-03-01T00:00:00"), Verdict.INCONCLUSIVE, "a date without time zone"),
    ],
)  # fmt: skip
def test_and_is_judged_like_any_other(dns, tmp_path, record, verdict, says):
    (tmp_path / "drill.json").write_text(json.dumps(record))
    found = judged(dns)
    assert found.verdict is verdict
    assert says in found.reason
    assert "--allow-disruptive=prod" in found.reason


def test_without_a_record_or_with_a_broken_one_it_is_inconclusive(dns, tmp_path):
    assert "there is no record" in judged(dns).reason
    (tmp_path / "drill.json").write_text("{")
    found = judged(dns)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "cannot be read" in found.reason
