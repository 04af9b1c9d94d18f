"""Faults of resources: what Prometheus remembers of them, and what the exporter of containers and db1 show now."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from signal import SIGTERM

from pytest_deploygate.lab import client, container_metrics, sql
from pytest_deploygate.lab.container_metrics import METRICS, PORT, Metric
from pytest_deploygate.lab.faults import Change, Fault
from pytest_deploygate.lab.services import container_exporter, monitoring, monitoring_history
from pytest_deploygate.lab.services.container_exporter import LONG_S
from pytest_deploygate.lab.state import Lab
from pytest_deploygate.lab.supervisor import Program

_INVENTORY = "lab-monitoring"
_NEEDS = (PORT, monitoring.PROMETHEUS)
_BY_SERIES = ("test_resources_last",)
_HOLDER = "connection-holder"
#: Of the 57 that db1 has for its users: more than the inventory allows, and enough for all others.
_HELD = 42
#: Stands beside what is wrong with the values of now while the history is another one.
_REWRITTEN = "rewritten"
_GB, _MB = 2.0**30, 2.0**20
_BUSY_S = (-3.0 * 3600, -2.8 * 3600)


def _named(name: str, **labels: str) -> list[Metric]:
    return [m for m in METRICS if m.name == name and labels.items() <= m.labels.items()]


def _rewritten(metrics: Sequence[Metric], value: Callable[[float], float] | None = None) -> Change:
    """Return a change that gives series other values before the lab's start; without `value` their own again."""

    def change(lab: Lab) -> None:
        wrong = container_exporter.wrong(lab)
        if value is None and _REWRITTEN not in wrong:
            return
        came_up = wrong["start"]
        within = (came_up - LONG_S, came_up - 1)
        new = [Metric(m.name, m.labels, value or m.value) for m in metrics]
        selectors = [f"{m.name}{{{container_metrics.labels(m.labels)}}}" for m in metrics]
        # Noted before it begins and until it is over, so that one that fails half way is healed too.
        container_exporter.change(lab, {_REWRITTEN: time.time()})
        monitoring.rewrite(lab, selectors, within, container_exporter.remembered(lab, new, within))
        if value is None:
            container_exporter.change(lab, {})

    return change


def _switched(name: str, shown: str) -> Change:
    """Return a change that makes one thing wrong, and waits until Prometheus shows it."""

    def change(lab: Lab) -> None:
        container_exporter.change(lab, {name: time.time()})
        sql.wait_until(f"{name} in Prometheus", lambda: bool(monitoring.query(lab, shown)))

    return change


def _healed(*selectors: str) -> Change:
    """Return a change that makes nothing wrong, and has Prometheus forget what these series were meanwhile."""

    def change(lab: Lab) -> None:
        began = [at for name, at in container_exporter.wrong(lab).items() if name != "start"]
        container_exporter.change(lab, {})
        healed = time.time()
        for at in began:
            # A scrape that began before has its values of then.
            sql.wait_until("a scrape of the containers", lambda: _scraped_since(lab, healed))
            monitoring_history.forget(lab.ports[monitoring.PROMETHEUS], selectors, (at, healed))
        sql.wait_until("values of now", lambda: all(monitoring.query(lab, each) for each in _AGAIN))

    return change


#: What shows that the exporter's series are there again, with times of now.
_AGAIN = (
    "container_memory_working_set_bytes",
    "time() - timestamp(kubelet_volume_stats_used_bytes) < 4",
    "container_cpu_cfs_throttled_periods_total",
    "kubelet_volume_stats_inodes_used",
)


def _scraped_since(lab: Lab, at: float) -> bool:
    return bool(monitoring.query(lab, f'timestamp(up{{job="{container_metrics.JOB}"}}) > {at:.3f}'))


def _since(lab: Lab) -> Path:
    return lab.folder / "jobs" / "connections-held-since.json"


def _hold(lab: Lab) -> None:
    _since(lab).write_text(json.dumps(time.time()))
    module = [sys.executable, "-m", "pytest_deploygate.lab.held_connections", str(lab.folder), str(_HELD)]
    client.start(lab, _HOLDER, Program(module, death_signal=SIGTERM))
    sql.wait_until(
        "the sessions in Prometheus",
        lambda: bool(monitoring.query(lab, f"sum(pg_stat_activity_count) >= {_HELD}")),
    )


def _release(lab: Lab) -> None:
    if not _since(lab).exists():
        return
    client.stop(lab, _HOLDER, SIGTERM)
    client.forget(lab, _HOLDER)
    sql.wait_until(
        "the end of the sessions in Prometheus",
        lambda: bool(monitoring.query(lab, f"sum(pg_stat_activity_count) < {_HELD}")),
    )
    within = (json.loads(_since(lab).read_text()), time.time() - 0.5)
    monitoring_history.forget(lab.ports[monitoring.PROMETHEUS], ["pg_stat_activity_count"], within)
    sql.wait_until("sessions of now", lambda: bool(monitoring.query(lab, "pg_stat_activity_count")))
    _since(lab).unlink()


_DATA = _named("kubelet_volume_stats_used_bytes", persistentvolumeclaim="orders-data")
FILLS = Fault(
    "volume-fills-within-hours",
    "the volume of the orders grows by 8 GB an hour since six hours, and is full in another six",
    {"golive.resources": "fail"},
    _rewritten(_DATA, lambda t: 100 * _GB + 8 * _GB * t / 3600),
    _rewritten(_DATA),
    says="is used up in",
    tests=_BY_SERIES,
    needs=_NEEDS,
    inventory=_INVENTORY,
)
_HANDLES = _named("container_file_descriptors")
LEAK = Fault(
    "file-handles-leak",
    "the orders leave 60 more files open each hour, and reach the limit in less than seven",
    {"golive.resources": "fail"},
    _rewritten(_HANDLES, lambda t: 600 + 60 * t / 3600),
    _rewritten(_HANDLES),
    says="is used up in",
    tests=_BY_SERIES,
    needs=_NEEDS,
    inventory=_INVENTORY,
)
_MEMORY = _named("container_memory_working_set_bytes")
BUSY = Fault(
    "memory-without-headroom",
    "three hours ago the orders needed 93 % of their memory for ten minutes",
    {"stab.resources": "fail"},
    _rewritten(_MEMORY, lambda t: (1900 if _BUSY_S[0] <= t <= _BUSY_S[1] else 1150) * _MB),
    _rewritten(_MEMORY),
    says="% of 2 GB was used",
    needs=_NEEDS,
    inventory=_INVENTORY,
)
THROTTLED = Fault(
    "container-throttled",
    "the CPU limit of the orders was lowered a minute ago: 40 % of their periods are throttled",
    {"golive.resources": "fail"},
    _switched(
        container_metrics.THROTTLED,
        "rate(container_cpu_cfs_throttled_periods_total[1m]) / rate(container_cpu_cfs_periods_total[1m]) > 0.3",
    ),
    _healed("container_cpu_cfs_throttled_periods_total"),
    says="raise the container's CPU limit",
    tests=_BY_SERIES,
    needs=_NEEDS,
    inventory=_INVENTORY,
)
INODES = Fault(
    "inodes-used-up",
    "the volume of the orders has space, but 94 % of its inodes are used",
    {"golive.resources": "fail", "stab.resources": "fail"},
    _switched(
        container_metrics.INODES, "kubelet_volume_stats_inodes_used / kubelet_volume_stats_inodes > 0.9"
    ),
    _healed("kubelet_volume_stats_inodes_used"),
    says="inodes is used",
    tests=_BY_SERIES,
    needs=_NEEDS,
    inventory=_INVENTORY,
)
ABSENT = Fault(
    "resource-series-absent",
    "the exporter of the containers no longer has their memory",
    {"golive.resources": "inconclusive", "stab.resources": "inconclusive"},
    _switched(container_metrics.ABSENT, "absent(container_memory_working_set_bytes)"),
    _healed(),
    says="0 series are there now",
    tests=_BY_SERIES,
    needs=_NEEDS,
    inventory=_INVENTORY,
)
STALE = Fault(
    "resource-series-stale",
    "the exporter of the containers repeats old values of the volumes, with their old times",
    {"golive.resources": "inconclusive", "stab.resources": "inconclusive"},
    _switched(container_metrics.STALE, "time() - timestamp(kubelet_volume_stats_used_bytes) > 9"),
    _healed(),
    says="its newest sample is",
    tests=_BY_SERIES,
    needs=_NEEDS,
    inventory=_INVENTORY,
)
HELD = Fault(
    "connections-near-limit",
    "an application holds 42 of the 57 connections that db1 has for its users",
    {"golive.resources": "fail", "stab.resources": "fail"},
    _hold,
    _release,
    says="put a pooler in front",
    tests=_BY_SERIES,
    needs=_NEEDS,
    inventory=_INVENTORY,
)
GROUP = Fault(
    "control-group-near-limit",
    "the control group of the orders uses 95 % of its memory",
    {"golive.resources": "fail"},
    lambda lab: container_exporter.control_group(lab, 1.9 * _GB),
    lambda lab: container_exporter.control_group(lab, 1.2 * _GB),
    says="of memory is used in /system.slice/orders.service",
    tests=("test_control_groups",),
    needs=_NEEDS,
    inventory=_INVENTORY,
)
