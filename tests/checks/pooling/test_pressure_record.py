"""The record of a pressure test: one of an earlier version counts while the settings it measured are unchanged."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from pytest_deploygate.checks.pooling import judge
from pytest_deploygate.checks.pooling.facts import Capacity, PoolerFacts
from pytest_deploygate.checks.pooling.probe import pressure
from pytest_deploygate.checks.pooling.section import Pooler, Pooling, Pressure
from pytest_deploygate.model import CannotTell, Verdict

MEASURED = {
    "pooler": "p", "clients": 80, "max_connections": 60, "pool_size": 20, "answers": 400, "failed": 0, "first_error": "",
    "slowest_s": 0.5, "most_servers": 20,
}  # fmt: skip


@pytest.fixture
def section(tmp_path, monkeypatch):
    """A pooling section whose server and pooler are as measured."""
    monkeypatch.setattr(
        pressure,
        "capacity",
        lambda *_: Capacity("db1", 60, 3, 5, (PoolerFacts("p", size=20, most=20, mode="transaction"),)),
    )
    wanted = Pressure(clients=80, record=tmp_path / "r.json")
    return Pooling(poolers=[Pooler(name="p", host="h")], pressure=wanted)


def judged(section):
    found = pressure.under_pressure(None, section, section.poolers[0], "prod", allowed=False)
    return judge.judge_pressure(found, section.pressure)


def earlier(tmp_path, inventory="prod", **changes):
    facts = MEASURED | {"at": datetime.now(UTC).isoformat()} | changes
    whole = {"format": "deploygate-pooling-pressure/1", "inventory": inventory, "poolers": {"p": facts}}
    (tmp_path / "r.json").write_text(json.dumps(whole))


@pytest.mark.parametrize(
    ("changes", "verdict", "says"),
    [
        ({}, Verdict.PASS, "all got answers, 400 in total"),
        ({"inventory": "staging"}, Verdict.INCONCLUSIVE, "was run in 'staging', this is 'prod'"),
        ({"pool_size": 50}, Verdict.INCONCLUSIVE, "pool size was '50', is '20'"),
        ({"max_connections": 70}, Verdict.INCONCLUSIVE, "max_connections was '70', is '60'"),
        ({"clients": 70}, Verdict.INCONCLUSIVE, "clients was '70', is '80'"),
        ({"failed": 2, "first_error": "timeout"}, Verdict.FAIL, "2 of 80 clients through p got no answer, first error: timeout"),
        ({"at": "2020-01-01T00:00:00Z"}, Verdict.INCONCLUSIVE, "limit 90 d"),
    ],
)  # fmt: skip
def test_a_record_of_an_earlier_version(section, tmp_path, changes, verdict, says):
    earlier(tmp_path, **changes)
    found = judged(section)
    assert found.verdict is verdict, found.reason
    assert says in found.reason


@pytest.mark.parametrize("text", ["{", '{"format": "deploygate-pooling-pressure/1"}', "{}"])
def test_what_is_no_record_is_inconclusive(section, tmp_path, text):
    (tmp_path / "r.json").write_text(text)
    assert judged(section).verdict is Verdict.INCONCLUSIVE


def test_without_pressure_in_the_inventory_it_cannot_be_told(section):
    section = section.model_copy(update={"pressure": None})
    with pytest.raises(CannotTell, match="add `pressure:"):
        pressure.under_pressure(None, section, section.poolers[0], "prod", allowed=False)
