"""What the load showed about a replica, each cause with its number and limit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_deploygate.checks.replication.facts import LoadFacts, ReplicaUnderLoad
from pytest_deploygate.checks.replication.judge.write_load import judge_write_load
from pytest_deploygate.checks.replication.section import Replication
from pytest_deploygate.model import Verdict

LOAD = LoadFacts(2.0, 2.0, 2, 500, 999, 0, 0, 0.004, 5.0, False, "", "ANY 1 (db2, db3)", 0)
GOOD = ReplicaUnderLoad("db2", LOAD, 9, 4096, 0.01, 0.01, True, 0, (), 0, "")
BOUNDS = Replication()


def test_a_replica_with_every_id_passes():
    found = judge_write_load(GOOD, BOUNDS)
    assert (found.verdict, found.reason) == (
        Verdict.PASS,
        "db2 has all 999 acknowledged writes, 10 ms after the load",
    )


@pytest.mark.parametrize(
    ("changed", "verdict", "words"),
    [
        ({"load": replace(LOAD, hung=True, acknowledged=12)}, Verdict.FAIL, "did not return within 5 s and was cancelled after 12"),
        ({"load": replace(LOAD, hung=True, synchronous_standby_names="")}, Verdict.FAIL, "check locks"),
        ({"load": replace(LOAD, missing_on_primary=3)}, Verdict.FAIL, "primary itself lost 3 of 999"),
        ({"problem": "db2 refused"}, Verdict.INCONCLUSIVE, "db2 refused"),
        ({"load": replace(LOAD, acknowledged=0, problem="disk full")}, Verdict.INCONCLUSIVE, "disk full"),
        ({"missing": 7, "first_missing": (40, 41), "drained_s": None, "waited_s": 10.1}, Verdict.FAIL,
         "lacks 7 of 999 acknowledged writes (first missing id 40) 10.1 s after the load, limit 10 s"),
        ({"missing": 999, "first_missing": (1,), "drained_s": None}, Verdict.FAIL, "none of them arrived"),
        ({"drained_s": None, "waited_s": 10.2}, Verdict.FAIL, "had not caught up 10.2 s after the load"),
        ({"missing": 7, "first_missing": (40,), "drained_s": None, "paused": True}, Verdict.FAIL, "pg_wal_replay_resume()"),
        ({"missing": 999, "first_missing": (1,), "drained_s": None, "paused": True}, Verdict.FAIL, "its replay is paused"),
        ({"drained_s": None, "waited_s": 10.2, "paused": True}, Verdict.FAIL, "its replay is paused"),
        ({"phantom": 1}, Verdict.FAIL, "1 rows of this run that were never written"),
        ({"lag_bytes_max": 32 * 1024**2}, Verdict.FAIL, "fell 32 MB behind under load, limit 16 MB"),
        ({"load": replace(LOAD, problem="db1 went away")}, Verdict.INCONCLUSIVE, "ended early: db1 went away"),
        ({"lag_bytes_max": None, "samples": 0}, Verdict.INCONCLUSIVE, "never sampled"),
        ({"ids_read": False}, Verdict.PASS, "the WAL of all writes"),
    ],
)  # fmt: skip
def test_each_cause_has_its_verdict(changed, verdict, words):
    found = judge_write_load(replace(GOOD, **changed), BOUNDS)
    assert found.verdict is verdict
    assert words in found.reason
