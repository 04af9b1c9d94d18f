"""Control groups: version 2 by recordings of its documented files, version 1 for real where this machine has it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_deploygate.checks.resources import judge, probe
from pytest_deploygate.checks.resources.facts import Group
from pytest_deploygate.checks.resources.probe.control_groups import above, parse
from pytest_deploygate.checks.resources.section import ControlGroup
from pytest_deploygate.model import CannotTell, Judgement, Verdict

PATHS = above("/system.slice/orders.service")
MB = 2**20
#: The files of a group as the kernel's documentation of cgroup v2 shows them, by the names of the parts.
RECORDED = {
    "version": "cpuset cpu io memory pids",
    "memory-0": str(900 * MB),
    "memory-limit-0": str(1000 * MB),
    "memory-stat-0": f"inactive_file {300 * MB}",
    "pids-0": "20",
    "pids-limit-0": "max",
    "cpu-limit-0": "200000 100000",
    "cpu-stat-before-0": "usage_usec 100\nnr_periods 1000\nnr_throttled 10\nthrottled_usec 5",
    "cpu-stat-after-0": "usage_usec 200\nnr_periods 1030\nnr_throttled 11\nthrottled_usec 6",
    "kills-before-0": "low 0\nhigh 0\nmax 4\noom 0\noom_kill 0",
    "kills-after-0": "low 0\nhigh 0\nmax 4\noom 0\noom_kill 0",
    "memory-1": str(2000 * MB),
    "memory-limit-1": "max",
    "cpu-limit-1": "max 100000",
}


def given(**more) -> ControlGroup:
    return ControlGroup.model_validate({"name": "orders", "hosts": ["here"], "path": PATHS[0]} | more)


def judged(*groups: Group, **more) -> Judgement:
    return judge.judge_groups(groups, given(**more))


def recorded(**more: str) -> Group:
    parts = RECORDED | {name.replace("_", "-"): text for name, text in more.items()}
    return parse("app1", PATHS, {name: text for name, text in parts.items() if text})


def test_the_groups_above_are_asked_too() -> None:
    assert PATHS == ["/system.slice/orders.service", "/system.slice"]


def test_memory_is_the_working_set_and_not_what_can_be_dropped() -> None:
    found = judged(recorded())
    assert found.verdict is Verdict.PASS, found.reason
    assert "60 % of a limit is used" in found.reason


def test_a_group_near_its_limit_fails_and_is_named() -> None:
    found = judged(recorded(memory_stat_0="inactive_file 0"), most=80)
    assert found.verdict is Verdict.FAIL
    assert "90 % of 1000 MB of memory is used in /system.slice/orders.service" in found.reason


def test_a_limit_of_the_slice_above_counts() -> None:
    found = judged(recorded(memory_limit_1=str(2100 * MB)))
    assert found.verdict is Verdict.FAIL
    assert "is used in /system.slice, limit" in found.reason
    assert judged(recorded(cpu_limit_0="max 100000", cpu_limit_1="50000 100000")).verdict is Verdict.PASS


def test_throttling_is_counted_between_two_reads() -> None:
    found = judged(recorded(cpu_stat_after_0="nr_periods 1030\nnr_throttled 22"))
    assert found.verdict is Verdict.FAIL
    assert "40 % of its 30 periods were throttled at 2 cores" in found.reason


def test_what_was_made_anew_meanwhile_is_unknown() -> None:
    found = judged(recorded(cpu_stat_after_0="nr_periods 3\nnr_throttled 0"))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "whether it is throttled cannot be read" in found.reason


def test_kills_while_it_is_watched_fail_and_older_ones_are_a_note() -> None:
    found = judged(recorded(kills_after_0="oom_kill 2"))
    assert found.verdict is Verdict.FAIL
    assert "2 processes were killed" in found.reason
    older = judged(recorded(kills_before_0="oom_kill 3", kills_after_0="oom_kill 3"))
    assert older.verdict is Verdict.PASS
    assert "3 processes were killed for lack of memory since the group was made" in older.notes[0]


def test_no_limit_anywhere_is_no_pass() -> None:
    found = judged(recorded(memory_limit_0="max"))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "its memory has no limit, nor has a group above it" in found.reason
    assert judged(recorded(), limits=["memory", "processes"]).verdict is Verdict.INCONCLUSIVE
    assert judged(recorded(cpu_limit_0="max"), limits=["processors"]).verdict is Verdict.INCONCLUSIVE


def test_a_group_that_is_not_there_is_unknown() -> None:
    found = judged(parse("app1", PATHS, {"version": "cpu memory"}))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "there is no control group /system.slice/orders.service" in found.reason


def test_one_silent_host_of_two_is_no_pass() -> None:
    found = judged(recorded(), Group("app2", 0, problem="it refuses the connection: start its SSH server"))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "app2: it refuses the connection" in found.reason


def test_hosts_that_nobody_names_are_unknown() -> None:
    with pytest.raises(CannotTell, match="no server in `hosts`"):
        probe.control_groups(given(hosts=["web"]), None)


ROOT = Path("/sys/fs/cgroup")
NAME = f"deploygate-test-{os.getpid()}"


@pytest.fixture
def old_group() -> Iterator[dict[str, Path]]:
    """A control group of version 1 of our own: 64 MB, and so little of a processor that it is throttled on a busy machine, too."""
    folders = {name: ROOT / name / NAME for name in ("memory", "cpu")}
    with contextlib.ExitStack() as stack:
        for folder in folders.values():
            try:
                folder.mkdir()
            except OSError:
                pytest.skip("this machine lets nobody make a control group of version 1")
            stack.callback(folder.rmdir)
        (folders["memory"] / "memory.limit_in_bytes").write_text(str(64 * MB))
        (folders["cpu"] / "cpu.cfs_period_us").write_text("100000")
        (folders["cpu"] / "cpu.cfs_quota_us").write_text("1000")
        yield folders


def test_a_real_group_that_is_throttled_fails(old_group: dict[str, Path]) -> None:
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        for folder in old_group.values():
            (folder / "cgroup.procs").write_text(str(busy.pid))
        (found,) = probe.control_groups(given(path=f"/{NAME}", watch="2s"), None)
    finally:
        busy.kill()
        busy.wait()
    assert (found.version, found.cores) == (1, 0.01)
    judgement = judge.judge_groups([found], given(path=f"/{NAME}"))
    assert judgement.verdict is Verdict.FAIL
    assert "periods were throttled at 0.01 cores" in judgement.reason


def test_a_real_group_that_is_idle_passes(old_group: dict[str, Path]) -> None:
    (found,) = probe.control_groups(given(path=f"/{NAME}", watch="1s"), None)
    judgement = judge.judge_groups([found], given(path=f"/{NAME}"))
    assert judgement.verdict is Verdict.PASS, judgement.reason
    assert [(bound.what, bound.limit) for bound in found.bounds if bound.limit] == [("memory", 64 * MB)]
