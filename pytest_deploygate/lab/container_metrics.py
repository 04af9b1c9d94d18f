"""An exporter of containers, volumes and a pool, with the metric names of kubelet, cAdvisor and the PgBouncer exporter.

Each value is a function of time, so that what Prometheus remembers from before the lab's start is continued by what it
scrapes. Run as `python -m pytest_deploygate.lab.container_metrics FOLDER`. What a fault changes is read from a file for
each scrape.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from pytest_deploygate.lab.state import HOST, Lab, load
from pytest_deploygate.lazy import dataclass

PORT = "container-exporter"
JOB = "kubelet"
ABSENT, STALE, THROTTLED, INODES = "absent", "stale", "throttled", "inodes"
_GB = 2.0**30
_MB = 2.0**20
_ORDERS = {
    "namespace": "platform",
    "pod": "orders-6c7f9d-x2x8k",
    "container": "orders",
    "image": "registry.example.com/orders:2.4.1",
}
_DATA = {"namespace": "platform", "persistentvolumeclaim": "orders-data"}
_LOGS = {"namespace": "platform", "persistentvolumeclaim": "orders-logs"}
_POOL = {"database": "platform", "user": "platform_app"}


def switches(lab: Lab) -> Path:
    """Return the file with when each thing that is wrong began: `{"name": seconds since 1970}`."""
    return lab.folder / "jobs" / "container-exporter.json"


@dataclass(frozen=True)
class Metric:
    """One series: `value` takes the seconds since `START` of a lab, which are less than 0 for what is remembered."""

    name: str
    labels: Mapping[str, str]
    value: Callable[[float], float]
    counter: bool = False


def _sawtooth(low: float, rise: float, period_s: float) -> Callable[[float], float]:
    return lambda t: low + rise * ((t % period_s) / period_s)


def _constant(value: float) -> Callable[[float], float]:
    return lambda _: value


#: Counters began this long ago.
_BEGAN_S = 40 * 86400.0
METRICS = (
    Metric("kubelet_volume_stats_used_bytes", _DATA, lambda t: 100 * _GB + 0.5 * _GB * t / 3600),
    Metric("kubelet_volume_stats_capacity_bytes", _DATA, _constant(150 * _GB)),
    Metric("kubelet_volume_stats_inodes_used", _DATA, _constant(2.1e6)),
    Metric("kubelet_volume_stats_inodes", _DATA, _constant(9.8e6)),
    Metric("kubelet_volume_stats_used_bytes", _LOGS, _sawtooth(10 * _GB, 6 * _GB, 1200)),
    Metric("kubelet_volume_stats_capacity_bytes", _LOGS, _constant(40 * _GB)),
    Metric("kubelet_volume_stats_inodes_used", _LOGS, _constant(1.2e4)),
    Metric("kubelet_volume_stats_inodes", _LOGS, _constant(2.6e6)),
    Metric("container_memory_working_set_bytes", _ORDERS, _sawtooth(1100 * _MB, 200 * _MB, 300)),
    Metric("container_spec_memory_limit_bytes", _ORDERS, _constant(2048 * _MB)),
    Metric(
        "container_cpu_usage_seconds_total", {**_ORDERS, "cpu": "total"}, lambda t: 0.6 * (t + _BEGAN_S), True
    ),
    Metric("container_spec_cpu_quota", _ORDERS, _constant(200_000)),
    Metric("container_spec_cpu_period", _ORDERS, _constant(100_000)),
    Metric("container_cpu_cfs_periods_total", _ORDERS, lambda t: 10 * (t + _BEGAN_S), True),
    Metric("container_cpu_cfs_throttled_periods_total", _ORDERS, lambda t: 0.1 * (t + _BEGAN_S), True),
    Metric("container_file_descriptors", _ORDERS, lambda t: 600 + 20 * math.sin(t / 90)),
    Metric("container_ulimits_soft", {**_ORDERS, "ulimit": "max_open_files"}, _constant(1024)),
    Metric("pgbouncer_pools_client_waiting_connections", _POOL, lambda t: float(int(t / 20) % 3)),
)
#: Scrapes during which a CPU limit that was lowered counts as having been so.
_BEFORE_S = 60.0


def exposed(start: float, now: float, wrong: Mapping[str, float]) -> Iterator[str]:
    """Yield the lines of a scrape at `now`, for a lab that came up at `start` (both in seconds since 1970)."""
    for metric in METRICS:
        if ABSENT in wrong and metric.name.startswith("container_memory"):
            continue
        value, at = metric.value(now - start), ""
        if THROTTLED in wrong and metric.name == "container_cpu_cfs_throttled_periods_total":
            value += 4 * (now - wrong[THROTTLED] + _BEFORE_S)
        if INODES in wrong and metric.name == "kubelet_volume_stats_inodes_used":
            value = 0.94 * 9.8e6 if metric.labels is _DATA else value
        if metric.name.startswith("kubelet_volume_stats"):
            # These have times of their own, as cAdvisor's do.
            at = f" {round(wrong.get(STALE, now) * 1000)}"
        yield f"{metric.name}{{{labels(metric.labels)}}} {value!r}{at}"


def labels(given: Mapping[str, str]) -> str:
    """Return labels as an exporter writes them."""
    return ",".join(f'{name}="{value}"' for name, value in given.items())


def serve(lab: Lab) -> None:
    """Answer scrapes until the process ends."""
    start = json.loads(switches(lab).read_text())["start"]

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wrong = json.loads(switches(lab).read_text())
            body = "".join(f"{line}\n" for line in exposed(start, time.time(), wrong)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Write no log."""

    ThreadingHTTPServer((HOST, lab.ports[PORT]), Answers).serve_forever()


if __name__ == "__main__":
    serve(load(Path(sys.argv[1]), up=False))
