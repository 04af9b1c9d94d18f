"""What a real Prometheus answers about resources: each kind by its documented names, gaps, ends, resets and odd values."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_server import Server, running

from pytest_deploygate.checks.resources import judge, probe
from pytest_deploygate.checks.resources.facts import Used
from pytest_deploygate.checks.resources.kinds import KINDS
from pytest_deploygate.checks.resources.section import Resources
from pytest_deploygate.lab.services.monitoring_history import samples
from pytest_deploygate.model import CannotTell, Verdict

SPAN_S, APART_S = 1500, 5.0
HOST = {"instance": "db1:9100", "job": "node"}
POD = {"instance": "k1:10250", "namespace": "p", "pod": "a-1", "container": "a", "image": "a:1"}
CLAIM = {"instance": "k1:10250", "namespace": "p", "persistentvolumeclaim": "data"}
DISK = {**HOST, "mountpoint": "/data", "fstype": "ext4", "device": "/dev/sda"}
FULL = {**HOST, "mountpoint": "/snap", "fstype": "squashfs", "device": "/dev/loop0"}
DB = {"instance": "db1:9187", "server": "db1:5432"}

#: Name, labels, value or its course over the seconds of the window: what the exporters of the documentation expose.
DOCUMENTED = [
    ("node_filesystem_avail_bytes", DISK, 60e9),
    ("node_filesystem_size_bytes", DISK, 100e9),
    ("node_filesystem_avail_bytes", FULL, 0),
    ("node_filesystem_size_bytes", FULL, 1e9),
    ("node_filesystem_readonly", DISK, 0),
    ("node_filesystem_readonly", FULL, 1),
    ("node_filesystem_device_error", DISK, 0),
    ("node_filesystem_files_free", DISK, 6e6),
    ("node_filesystem_files", DISK, 1e7),
    ("kubelet_volume_stats_used_bytes", CLAIM, 40e9),
    ("kubelet_volume_stats_capacity_bytes", CLAIM, 100e9),
    ("kubelet_volume_stats_inodes_used", CLAIM, 4e6),
    ("kubelet_volume_stats_inodes", CLAIM, 1e7),
    ("node_memory_MemAvailable_bytes", HOST, 6e9),
    ("node_memory_MemTotal_bytes", HOST, 1e10),
    ("node_vmstat_oom_kill", HOST, 7),
    ("container_memory_working_set_bytes", POD, 4e8),
    ("container_memory_working_set_bytes", {**POD, "container": "", "image": ""}, 9e9),
    ("container_spec_memory_limit_bytes", POD, 1e9),
    ("container_oom_events_total", POD, 0),
    *(("node_cpu_seconds_total", {**HOST, "cpu": c, "mode": "idle"}, lambda t: 5e5 + 0.6 * t) for c in "01"),
    *(("node_cpu_seconds_total", {**HOST, "cpu": c, "mode": "user"}, lambda t: 5e5 + 0.4 * t) for c in "01"),
    ("container_cpu_usage_seconds_total", {**POD, "cpu": "total"}, lambda t: 900 + 0.8 * t),
    ("container_spec_cpu_quota", POD, 200_000),
    ("container_spec_cpu_period", POD, 100_000),
    ("container_cpu_cfs_periods_total", POD, lambda t: 10 * t),
    ("container_cpu_cfs_throttled_periods_total", POD, lambda t: 0.4 * t),
    ("node_pressure_cpu_waiting_seconds_total", HOST, lambda t: 0.04 * t),
    ("node_pressure_memory_waiting_seconds_total", HOST, lambda t: 0.04 * t),
    ("node_pressure_io_waiting_seconds_total", HOST, lambda t: 0.04 * t),
    ("process_open_fds", HOST, 400),
    ("process_max_fds", HOST, 1000),
    ("node_filefd_allocated", HOST, 4000),
    ("node_filefd_maximum", HOST, 10000),
    ("container_file_descriptors", POD, 400),
    ("container_ulimits_soft", {**POD, "ulimit": "max_open_files"}, 1000),
    ("node_nf_conntrack_entries", HOST, 4000),
    ("node_nf_conntrack_entries_limit", HOST, 10000),
    ("pg_stat_activity_count", {**DB, "datname": "a", "state": "idle"}, 30),
    ("pg_stat_activity_count", {**DB, "datname": "b", "state": "active"}, 10),
    ("pg_settings_max_connections", DB, 103),
    ("pg_settings_superuser_reserved_connections", DB, 3),
    ("node_sockstat_sockets_used", HOST, 400),
    ("pgbouncer_pools_client_waiting_connections", {**DB, "database": "a", "user": "u"}, 4),
]
PERCENT = {"throttling": 4, "cpu-pressure": 4, "memory-pressure": 4, "io-pressure": 4}
LIMITS = {"sockets": 1000, "pool-queue": 10}

AT = {name: {"job": "kubelet", "instance": f"{name}:1"} for name in ("ended", "silent")}
ODD = [
    ("queue_length", {"q": "gap"}, lambda t: None if 400 < t < 900 else 5),
    ("queue_length", {"q": "nan"}, lambda t: float("nan") if t > 700 else 5),
    ("queue_length", {"q": "ended"}, lambda t: 5 if t < SPAN_S - 400 else None),
    ("queue_length", {"q": "spike"}, lambda t: 9 if 700 <= t < 705 else 2),
    ("queue_limit", {}, 10),
    ("queue_left", {"q": "left"}, 4),
    ("queue_size", {"q": "left"}, 16),
    ("other_limit", {"k": "1", "q": "spike"}, 10),
    ("other_limit", {"k": "2", "q": "spike"}, 20),
    *(("replicas", {"pod": n, **AT[n]}, lambda t: 4 if t < SPAN_S - 400 else None) for n in AT),
    ("up", AT["ended"], 1),
    ("up", AT["silent"], lambda t: 1 if t < SPAN_S - 400 else 0),
    ("node_memory_MemAvailable_bytes", {"instance": "oom"}, 6e9),
    ("node_memory_MemTotal_bytes", {"instance": "oom"}, 1e10),
    ("node_vmstat_oom_kill", {"instance": "oom"}, lambda t: 7 if t < 600 else 9 if t < 1200 else 1),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    now = time.time()
    steps = [n * APART_S for n in range(int(SPAN_S / APART_S) + 1)]
    lines = []
    for name, labels, value in [*DOCUMENTED, *ODD]:
        values = [(now - SPAN_S + t, value(t) if callable(value) else value) for t in steps]
        lines += samples(name, labels, [(at, float(v)) for at, v in values if v is not None])
    with running(tmp_path_factory.mktemp("prometheus"), lines) as found:
        yield found


def resources(**watched) -> Resources:
    # Nothing is scraped here, so the newest samples get older while the tests run.
    given = {"every": "60s", "window": "20m", "horizon": "40m", "headroom": {"window": "20m"}}
    return Resources.model_validate(given | {"watched": [{"name": "it"} | watched]})


def course(server: Server, wanted: Resources) -> Used:
    return probe.course(server.settings, wanted, wanted.watched[0])


def judged(server: Server, **watched):
    wanted = resources(**watched)
    return judge.judge_use(course(server, wanted), judge.of_use(wanted, wanted.watched[0]))


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_measured_by_the_documented_names(server: Server, kind: str) -> None:
    limit = {"limit": LIMITS[kind]} if kind in LIMITS else {}
    labels = {"labels": 'instance="db1:9100"'} if kind == "memory" else {}
    wanted = resources(kind=kind, **limit, **labels)
    found = judge.judge_use(course(server, wanted), judge.of_use(wanted, wanted.watched[0]))
    assert found.verdict is Verdict.PASS, found.reason
    assert [r.value for r in found.readings if r.unit == "%"] == pytest.approx(
        [PERCENT.get(kind, 40)], abs=0.2
    )
    peaks = probe.peaks(server.settings, wanted, wanted.watched[0])
    found = judge.judge_headroom(peaks, judge.of_headroom(wanted, wanted.watched[0]))
    assert found.verdict is Verdict.PASS, found.reason
    assert [r.value for r in found.readings] == pytest.approx([PERCENT.get(kind, 40)], abs=0.2)


def test_what_is_full_by_design_counts_if_the_inventory_asks_for_it(server: Server) -> None:
    found = judged(server, kind="disk", labels='fstype="squashfs"')
    assert found.verdict is Verdict.FAIL
    assert "/snap" in found.reason
    assert "is mounted read-only" in found.reason


def test_a_series_whose_target_is_down_has_not_ended(server: Server) -> None:
    uses = course(server, resources(used="replicas", limit=10, replaced=True)).uses
    assert {each.of.split('pod="')[1].split('"')[0]: each.silent for each in uses} == {
        "ended": "",
        "silent": "kubelet silent:1",
    }


def test_gaps_stay_gaps(server: Server) -> None:
    found = judged(server, used='queue_length{q="gap"}', limit=10)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "has no samples for" in found.reason


def test_values_that_are_no_numbers_are_said(server: Server) -> None:
    found = judged(server, used='queue_length{q="nan"}', limit=10)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "no finite numbers" in found.reason


def test_a_series_that_ended_is_not_taken_for_a_good_one(server: Server) -> None:
    found = judged(server, used='queue_length{q="ended"}', limit=10)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "has no samples since" in found.reason


def test_a_moment_counts_at_the_busiest_time_and_not_now(server: Server) -> None:
    wanted = resources(used='queue_length{q="spike"}', limit=10)
    assert judged(server, used='queue_length{q="spike"}', limit=10).verdict is Verdict.PASS
    wanted = wanted.model_copy(update={"every": timedelta(seconds=5)})
    peaks = probe.peaks(server.settings, wanted, wanted.watched[0])
    assert max(p.used for p in peaks.uses[0].points if p.used is not None) == 9


def test_what_is_left_is_the_limit_without_what_is_used(server: Server) -> None:
    found = judged(server, free="queue_left", limit="queue_size")
    assert found.verdict is Verdict.PASS
    assert found.readings[0].value == 75


def test_one_limit_for_all_has_no_labels(server: Server) -> None:
    assert judged(server, used='queue_length{q="spike"}', limit="queue_limit").verdict is Verdict.PASS


def test_which_of_two_limits_counts_is_not_guessed(server: Server) -> None:
    found = judged(server, used='queue_length{q="spike"}', limit="other_limit", by=["q"])
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "several that could be" in found.reason


def test_kills_for_lack_of_memory_are_counted_over_a_restart(server: Server) -> None:
    wanted = resources(kind="memory", labels='instance="oom"')
    (event,) = course(server, wanted).happened
    assert (event.times, event.what) == (3, "ran out of memory")


@pytest.mark.parametrize("kind", ["disk", "cpu", "connections"])
def test_nothing_is_no_answer(server: Server, kind: str) -> None:
    with pytest.raises(CannotTell, match="has no samples of"):
        course(server, resources(kind=kind, labels='instance="elsewhere"'))


def test_a_missing_instance_is_told(server: Server) -> None:
    assert course(server, resources(kind="disk", instances=["db1:9100", "db9:9100"])).lacking == ("db9:9100",)


def test_no_server_is_no_answer(tmp_path: Path) -> None:
    wanted = resources(kind="disk")
    gone = Server(tmp_path, 9).settings
    with pytest.raises(CannotTell, match="does not answer"):
        probe.course(gone, wanted, wanted.watched[0])
