"""What Prometheus watches beside its first exporters: the blackbox exporter itself and a batch job, and alerts over them.

The batch job tells its metrics in a file, which a small HTTP server serves: what stands in the file is what is scraped.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from signal import SIGTERM

from pytest_deploygate.lab import client, nodes, processes, sql
from pytest_deploygate.lab.services import Service, monitoring
from pytest_deploygate.lab.state import HOST, Lab
from pytest_deploygate.lab.supervisor import Program

BATCH = "batch-metrics"
#: Jobs of this service.
JOBS = ("batch", "blackbox")
_RULES = "platform"
_METRICS = "metrics.txt"
_SUCCESS = "lab_batch_last_success_seconds"


def where(lab: Lab) -> Path:
    """Return the folder that is served."""
    return lab.private / "batch"


def tell(lab: Lab, text: str = "") -> None:
    """Write what the batch job tells: a success of this moment, unless `text` says something else."""
    told = (
        text
        or f"# TYPE {_SUCCESS} gauge\n{_SUCCESS} {time.time():.0f}\n# TYPE lab_batch_rows gauge\nlab_batch_rows 1200\n"
    )
    nodes.put(lab, where(lab) / _METRICS, told)


def scrape(lab: Lab) -> None:
    """Let Prometheus scrape both jobs."""
    monitoring.scrape(lab, "batch", [f"{HOST}:{lab.ports[BATCH]}"], {"__metrics_path__": f"/{_METRICS}"})
    monitoring.scrape(lab, "blackbox", [f"{HOST}:{lab.ports[monitoring.BLACKBOX]}"])


def alert(name: str, expression: str, severity: str) -> dict[str, object]:
    """Return the rule of an alert."""
    return {"alert": name, "expr": expression, "for": "5m", "labels": {"severity": severity}}


def alerts() -> list[dict[str, object]]:
    """Return the alerts that the inventory requires."""
    return [
        alert("InstanceDown", "up == 0", "critical"),
        alert("DatabaseDown", "pg_up == 0", "critical"),
        alert(
            "DiskAlmostFull", "node_filesystem_avail_bytes / node_filesystem_size_bytes < 0.02", "critical"
        ),
        alert("BatchLate", f"time() - {_SUCCESS} > 86400", "warning"),
    ]


def evaluate(lab: Lab, rules: Sequence[Mapping[str, object]]) -> None:
    """Write these rules, let Prometheus load them, and wait until they were evaluated. Raises LabError."""
    monitoring.rules(lab, _RULES, [{"name": _RULES, "rules": list(rules)}])
    monitoring.reload(lab)
    sql.wait_until("evaluation of the rules", lambda: _evaluated(lab, rules), 20.0)


def _evaluated(lab: Lab, rules: Sequence[Mapping[str, object]]) -> bool:
    """Return whether exactly these rules are known to Prometheus, and all were evaluated."""
    groups = [group for group in monitoring.rule_groups(lab) if group["name"] == _RULES]
    known = [(rule["name"], rule["health"]) for group in groups for rule in group["rules"]]
    return [name for name, _ in known] == [r.get("alert", r.get("record")) for r in rules] and all(
        health != "unknown" for _, health in known
    )


def start(lab: Lab) -> None:
    """Serve the batch job's metrics, and wait until everything was scraped and evaluated. Raises LabError."""
    processes.run(["/bin/mkdir", "-p", str(where(lab))], user=lab.user)
    tell(lab)
    words = [sys.executable, "-m", "http.server", "--bind", HOST, "--directory", str(where(lab))]
    client.start(lab, BATCH, Program([*words, str(lab.ports[BATCH])], death_signal=SIGTERM))
    scrape(lab)
    evaluate(lab, alerts())
    sql.wait_until(
        "scrapes of the batch job", lambda: len(monitoring.query(lab, _up(JOBS))) == len(JOBS), 30.0
    )


def _up(jobs: Sequence[str]) -> str:
    return f"up{{job=~{json.dumps('|'.join(jobs))}}} == 1"


SERVICE = Service(
    name="watched",
    servers={BATCH: "the metrics of a batch job, from a file"},
    programs=(),
    missing="monitoring is not covered",
    start=start,
    where=where,
    after=(monitoring.PROMETHEUS,),
    profiles=(monitoring.PROFILE,),
    modules=("http.server",),
)
