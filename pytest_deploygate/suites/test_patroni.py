"""Patroni: what it says of its cluster and what the databases say agree, and a failover could happen now."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.patroni import judge, probe


@pytest.mark.item("db.replication", "phase2.replication")
def test_patroni_could_fail_over(gate, postgres, patroni):
    """One leader takes writes, enough replicas could take over, settings are as declared, the databases agree."""

    def look():
        return probe.observe(postgres, patroni)

    gate.judge_confirmed(judge.judge, look(), look, patroni, target="patroni")
