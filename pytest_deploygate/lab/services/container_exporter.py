"""The exporter of containers and volumes, and the hours that Prometheus remembers of them and of db1."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from signal import SIGTERM

from pytest_deploygate.lab import client, container_metrics, nodes, sql
from pytest_deploygate.lab.container_metrics import JOB, METRICS, PORT, Metric
from pytest_deploygate.lab.services import Service, monitoring, monitoring_history
from pytest_deploygate.lab.state import HOST, PRIMARY, Lab, LabError, write_whole
from pytest_deploygate.lab.supervisor import Program

#: How far back the history goes, and how far apart its samples are, in seconds.
LONG_S = 6.2 * 3600
APART_S = 15.0


def wrong(lab: Lab) -> dict[str, float]:
    """Return when each thing that is wrong with the values began; `start` is when the lab came up."""
    file = container_metrics.switches(lab)
    found: dict[str, float] = json.loads(file.read_text()) if file.exists() else {}
    return found


def change(lab: Lab, values: dict[str, float]) -> None:
    """Make exactly these things wrong, from the next scrape on."""
    write_whole(container_metrics.switches(lab), {"start": wrong(lab)["start"], **values})


def remembered(
    lab: Lab, metrics: Iterable[Metric], within: tuple[float, float], apart_s: float = APART_S
) -> list[str]:
    """Return lines of these series between two times (seconds since 1970)."""
    start, end = within
    times = [start + n * apart_s for n in range(int((end - start) / apart_s) + 1)]
    came_up = wrong(lab)["start"]
    target = {"job": JOB, "instance": f"{HOST}:{lab.ports[PORT]}"}
    return [
        line
        for metric in metrics
        for line in monitoring_history.samples(
            metric.name, target | dict(metric.labels), [(at, metric.value(at - came_up)) for at in times]
        )
    ]


def history(lab: Lab) -> list[str]:
    """Return what Prometheus remembers when the lab comes up: of this exporter, of db1, and of what the exporters use."""
    now = time.time()
    write_whole(container_metrics.switches(lab), {"start": now})
    within = (now - LONG_S, now - 1)
    return [*remembered(lab, METRICS, within), *_of_others(lab, within)]


def _of_others(lab: Lab, within: tuple[float, float]) -> list[str]:
    times = [within[0] + n * APART_S for n in range(int((within[1] - within[0]) / APART_S) + 1)]
    places = {
        name: {"job": job, "instance": f"{HOST}:{lab.ports[name]}"}
        for name, job in ((monitoring.NODE, "node"), (monitoring.POSTGRES, "postgres"))
    }
    server = places[monitoring.POSTGRES] | {"server": f"{HOST}:{lab.ports[PRIMARY]}"}
    known = [
        ("pg_stat_activity_count", server | {"datname": "platform", "state": "idle"}, 8.0),
        ("pg_settings_max_connections", server, 60.0),
        ("pg_settings_superuser_reserved_connections", server, 3.0),
        ("process_open_fds", places[monitoring.NODE], 9.0),
        ("process_max_fds", places[monitoring.NODE], 20_000.0),
        ("process_open_fds", places[monitoring.POSTGRES], 11.0),
        ("process_max_fds", places[monitoring.POSTGRES], 20_000.0),
    ]
    return [
        line
        for name, labels, value in known
        for line in monitoring_history.samples(name, labels, [(at, value) for at in times])
    ]


def control_groups(lab: Lab) -> Path:
    """Return the folder with a control group of the orders, in the form of version 2's files: a stand-in for the kernel's."""
    return lab.folder / "cgroup"


def control_group(lab: Lab, memory: float) -> None:
    """Write that control group; it uses so many bytes of memory, of 2 GB."""
    folder = control_groups(lab) / "system.slice" / "orders.service"
    folder.mkdir(parents=True, exist_ok=True)
    (control_groups(lab) / "cgroup.controllers").write_text("cpu memory pids\n")
    files = {
        "memory.current": f"{memory:.0f}",
        "memory.max": f"{2**31}",
        "memory.stat": "inactive_file 0",
        "memory.events": "oom_kill 0",
        "pids.current": "40",
        "pids.max": "500",
        "cpu.max": "200000 100000",
        "cpu.stat": "nr_periods 0\nnr_throttled 0",
    }
    for name, text in files.items():
        (folder / name).write_text(f"{text}\n")


def start(lab: Lab) -> None:
    """Start the exporter and have it scraped. Raises LabError."""
    if not wrong(lab):
        raise LabError("Prometheus was started without the history of the containers")
    control_group(lab, 1.2 * 2**30)
    module = [sys.executable, "-m", "pytest_deploygate.lab.container_metrics", str(lab.folder)]
    client.start(lab, PORT, Program(module, death_signal=SIGTERM))
    monitoring.scrape(lab, JOB, [f"{HOST}:{lab.ports[PORT]}"])
    try:
        sql.wait_until(
            "the first scrape of the containers",
            lambda: len(monitoring.query(lab, f'up{{job="{JOB}"}} == 1')) == 1,
        )
    except LabError as error:
        raise LabError(f"{error}: {nodes.log_end(lab, PORT)}") from None


def where(lab: Lab) -> Path:
    """Return the file that says what is wrong."""
    return container_metrics.switches(lab)


SERVICE = Service(
    name=PORT,
    servers={PORT: "an exporter of containers and volumes"},
    programs=monitoring.SERVICE.programs,
    missing="resources of containers are not covered; apt install prometheus",
    start=start,
    where=where,
    after=(monitoring.PROMETHEUS,),
    history=history,
    values=lambda lab: {"container-exporter.cgroups": str(control_groups(lab))},
    find=monitoring.SERVICE.find,
    profiles=(monitoring.PROFILE,),
    modules=("pytest_deploygate.lab.container_metrics", "pytest_deploygate.lab.held_connections"),
)
