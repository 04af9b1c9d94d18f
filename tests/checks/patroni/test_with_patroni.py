"""Patroni, etcd and PostgreSQL for real: each fault of the lab is seen, and drills through Patroni lose nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from patroni_alone import patroni_alone

from pytest_deploygate.checks.patroni import judge, probe
from pytest_deploygate.checks.replication.judge.managed import judge_managed
from pytest_deploygate.checks.replication.probe.managed import drill, planning
from pytest_deploygate.checks.replication.probe.managed.evidence import managed_evidence
from pytest_deploygate.checks.replication.probe.managed.one import Record
from pytest_deploygate.checks.replication.probe.managed.steps import Steps
from pytest_deploygate.checks.replication.section import InDatabase, Managed
from pytest_deploygate.cli import main
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.inventory.loader import load
from pytest_deploygate.lab import sql
from pytest_deploygate.lab.faults import Fault
from pytest_deploygate.lab.faults import patroni as faults
from pytest_deploygate.lab.services import patroni
from pytest_deploygate.lab.services.patroni_asked import ask, change, leader, wait_whole
from pytest_deploygate.lab.services.patroni_broken import postmaster
from pytest_deploygate.lab.services.patroni_config import MEMBERS, apart
from pytest_deploygate.lab.services.patroni_machines import disk, seen_data
from pytest_deploygate.lab.state import Lab
from pytest_deploygate.model import Judgement, Verdict

pytestmark = pytest.mark.timeout(900)
ALL = [value for value in vars(faults).values() if isinstance(value, Fault)]
#: The others take seconds each, and are alike.
EACH_TIME = {"patroni-paused", "patroni-dcs-without-quorum"}
DRILL = """
import sys
from pathlib import Path
from test_with_patroni import opened
cluster, context, managed = opened()
from pytest_deploygate.checks.replication.probe.managed import drill, planning
fault = next(each for each in managed.faults if each.fault == sys.argv[1])
drill.run(context, fault, say=lambda line: print(line, flush=True))
"""


@pytest.fixture(scope="module")
def lab(lab_place: Path) -> Iterator[Lab]:
    """Patroni alone: the rest of the lab is not needed."""
    folder = lab_place / "patroni"
    before = dict(os.environ)
    os.environ["DEPLOYGATE_LAB"] = str(folder)
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    try:
        with patroni_alone(folder) as running:
            yield running
    finally:
        os.environ.clear()
        os.environ.update(before)


def opened(**more: object) -> tuple[Cluster, planning.Context, Managed]:
    """The cluster of the lab's inventory, and what a drill needs; `more` changes its section."""
    inventory = load("lab-patroni", Path.cwd()).inventory
    assert inventory.database is not None
    cluster = Cluster(inventory.database, "deploygate")
    bounds = inventory.database.of(InDatabase).replication
    assert bounds.managed_failover is not None
    managed = Managed.model_validate(bounds.managed_failover.model_dump(by_alias=True) | more)
    return cluster, planning.context(cluster, managed, bounds.load, "lab-patroni"), managed


def seen() -> Judgement:
    cluster, _, _ = opened()
    try:
        section = cluster.settings.patroni  # type: ignore[attr-defined]
        return judge.judge(probe.observe(cluster, section), section)
    finally:
        cluster.close()


def drilled(fault: str, **more: object) -> tuple[Record, Judgement]:
    cluster, context, managed = opened(**more)
    alone = Managed.model_validate(
        managed.model_dump() | {"faults": [f.model_dump() for f in managed.faults if f.fault == fault]}
    )
    try:
        ran = drill.run(context, alone.faults[0])
        return ran, judge_managed(managed_evidence(cluster, alone, {fault: ran}, "lab-patroni"), alone)
    finally:
        cluster.close()


@pytest.mark.parametrize(
    "fault", [pytest.param(f, id=f.name, marks=() if f.name in EACH_TIME else pytest.mark.long) for f in ALL]
)
def test_each_fault_is_seen_and_healed(lab: Lab, fault: Fault) -> None:
    fault.breaks(lab)
    try:
        broken = seen()
    finally:
        fault.heals(lab)
    assert broken.verdict is Verdict.FAIL
    assert fault.says in broken.reason
    assert seen().verdict is Verdict.PASS, seen().reason


def commanded(*words: str) -> str:
    done = CliRunner().invoke(main, ["lab", "patroni", *words])
    assert done.exit_code == 0, done.output
    return done.output.strip()


def state(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text().split()[2]


def test_commands_break_one_node_and_mend_it(lab: Lab) -> None:
    """Each is tried on the last member, so that nobody has to take over."""
    last = MEMBERS[2]
    server = postmaster(lab, last)
    assert commanded("freeze", last) == f"{last} is frozen"
    sql.wait_until("a stopped server", lambda: state(server) == "T")
    assert commanded("mend", last) == f"{last} runs"
    sql.wait_until("a server that runs", lambda: state(server) != "T")
    done = CliRunner().invoke(main, ["lab", "patroni", "freeze", "patroni9"])
    assert done.exit_code == 2
    assert "there is no node 'patroni9'; did you mean" in done.output
    if not apart(lab):
        done = CliRunner().invoke(main, ["lab", "patroni", "cut", last])
        assert done.exit_code == 1
        assert "the lab does not run as root" in done.output
        return
    assert commanded("cut", last) == f"{last} is cut off"
    assert ask(lab, last, "/patroni", timeout_s=0.5) == (0, None)
    assert commanded("mend", last) == f"{last} runs"
    sql.wait_until("an answer", lambda: ask(lab, last, "/patroni")[0] == 200)
    disk(lab, last, full=True)
    there = os.statvfs(seen_data(lab, last))
    assert there.f_bfree * there.f_frsize < 1024**2
    assert commanded("mend", last) == f"{last} runs"
    there = os.statvfs(seen_data(lab, last))
    assert there.f_bfree * there.f_frsize > 100 * 1024**2


@pytest.mark.long
@pytest.mark.parametrize("fault", ["switchover", "frozen", "dcs_lost", "network_cut", "disk_full"])
def test_a_drill_loses_nothing(lab: Lab, fault: str) -> None:
    if fault in ("network_cut", "disk_full") and not apart(lab):
        pytest.skip("this lab gives its nodes no machines of their own")
    ran, judged = drilled(fault)
    assert (ran.outcome, ran.facts.missing) == ("good", 0), ran.reason
    assert ran.facts.acknowledged > 0
    assert judged.verdict is Verdict.PASS, judged.reason
    assert leader(lab) == MEMBERS[0]


@pytest.mark.long
@pytest.mark.parametrize("number", range(10))
def test_ten_kills_in_a_row_lose_nothing(lab: Lab, number: int) -> None:
    ran, judged = drilled("killed")
    assert (ran.outcome, ran.facts.missing, ran.facts.two_writable) == ("good", 0, ()), (number, ran.reason)
    assert judged.verdict is Verdict.PASS, judged.reason
    assert leader(lab) == MEMBERS[0]


@pytest.mark.long
def test_an_asynchronous_cluster_with_frozen_receivers_is_red_with_the_number_lost(lab: Lab) -> None:
    faults.ASYNCHRONOUS.breaks(lab)
    crash = {
        "fault": "killed",
        "do": "deploygate lab patroni crash {node} --receivers-frozen 1",
        "undo": "deploygate lab patroni mend {node}",
    }
    try:
        # Patroni promotes nobody who lacks more than this.
        change(lab, maximum_lag_on_failover=64 * 1024**2)
        ran, judged = drilled("killed", faults=[crash])
    finally:
        patroni.repair(lab)
    assert ran.outcome == "lost", ran.reason
    assert ran.facts.missing > 0
    assert judged.verdict is Verdict.FAIL
    assert f"lacks {ran.facts.missing} of {ran.facts.acknowledged} acknowledged writes" in judged.reason


@pytest.mark.long
@pytest.mark.parametrize("after_s", [0.2, 3.0, 12.0])
def test_a_drill_that_is_killed_is_taken_back(lab: Lab, after_s: float) -> None:
    """SIGKILL right after the fault, while there is no leader, and after the promotion."""
    cluster, context, managed = opened()
    other = subprocess.Popen(
        [sys.executable, "-c", DRILL, "killed"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while len(Steps(managed.record).pending()) < 2:
            assert time.monotonic() < deadline, "the drill never began"
            time.sleep(0.05)
        time.sleep(after_s)
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
        lines: list[str] = []
        assert drill.restore(context, lines.append) == 2
        assert not Steps(managed.record).pending()
        assert leader(lab) == MEMBERS[0]
        wait_whole(lab)
    finally:
        other.kill()
        other.wait()
        cluster.close()
