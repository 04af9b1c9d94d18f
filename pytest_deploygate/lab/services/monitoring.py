"""Prometheus and its exporters (node, postgres, blackbox).

What is scraped and which rules there are is decided by files: `scrape` adds targets, which Prometheus notices by itself,
`rules` adds a file of rules, and `alert_to` names Alertmanagers. Other services use these. What a service's `history`
returns is there from the start; `rewrite` changes it later.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from signal import SIGTERM
from typing import Any
from urllib.parse import urlencode

from pytest_deploygate.lab import client, nodes, processes, sql
from pytest_deploygate.lab.programs import tool
from pytest_deploygate.lab.services import Service, monitoring_history, running
from pytest_deploygate.lab.state import HOST, PRIMARY, Lab, LabError
from pytest_deploygate.lab.supervisor import Program

PROFILE = "monitoring"
PROMETHEUS, NODE, POSTGRES, BLACKBOX = "prometheus", "node-exporter", "postgres-exporter", "blackbox-exporter"
#: How often targets are scraped and rules evaluated.
EVERY_S = 2
_COLLECTORS = [
    "conntrack",
    "cpu",
    "diskstats",
    "filefd",
    "filesystem",
    "loadavg",
    "meminfo",
    "netstat",
    "pressure",
    "sockstat",
    "stat",
    "time",
    "uname",
    "vmstat",
]
_PROGRAMS = {
    PROMETHEUS: "prometheus",
    NODE: "prometheus-node-exporter",
    POSTGRES: "prometheus-postgres-exporter",
    BLACKBOX: "prometheus-blackbox-exporter",
}
_CONFIGURATION = {
    "global": {
        "scrape_interval": f"{EVERY_S}s",
        "scrape_timeout": f"{EVERY_S}s",
        "evaluation_interval": f"{EVERY_S}s",
    },
    "rule_files": ["rules/*.json"],
    "alerting": {"alertmanagers": [{"file_sd_configs": [{"files": ["alertmanagers/*.json"]}]}]},
    # The labels `job` and `__metrics_path__` of a target's file take precedence over those of this job.
    "scrape_configs": [{"job_name": "lab", "file_sd_configs": [{"files": ["targets/*.json"]}]}],
}


def where(lab: Lab) -> Path:
    """Return the folder of the configurations and of Prometheus' data."""
    return lab.private / "monitoring"


def scrape(lab: Lab, job: str, addresses: Sequence[str], labels: Mapping[str, str] | None = None) -> None:
    """Let Prometheus scrape `host:port` addresses as a job, from the next second on; none ends it."""
    groups = [{"targets": list(addresses), "labels": {"job": job, **(labels or {})}}] if addresses else []
    nodes.put(lab, where(lab) / "targets" / f"{job}.json", json.dumps(groups))


def alert_to(lab: Lab, addresses: Sequence[str]) -> None:
    """Let Prometheus send alerts to Alertmanagers at these `host:port` addresses."""
    nodes.put(lab, where(lab) / "alertmanagers" / "all.json", json.dumps([{"targets": list(addresses)}]))


def rules(lab: Lab, name: str, groups: Sequence[Mapping[str, object]]) -> None:
    """Write a file of rule groups; `reload` puts it into force."""
    nodes.put(lab, where(lab) / "rules" / f"{name}.json", json.dumps({"groups": list(groups)}))


def reload(lab: Lab) -> int:
    """Let Prometheus read its configuration and rules again; return the HTTP status. Raises LabError."""
    request = urllib.request.Request(f"http://{HOST}:{lab.ports[PROMETHEUS]}/-/reload", method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError as error:
        raise LabError(f"Prometheus does not reload: {error}") from None


def programs(lab: Lab, database_port: int | None = None, exporter: Sequence[str] = ()) -> dict[str, Program]:
    """Return how each server is started; the PostgreSQL exporter's database may be at another port than db1.

    `exporter` are further options of that exporter.
    """
    folder, port = where(lab), lab.ports
    found = {
        NODE: [
            f"--web.listen-address={HOST}:{port[NODE]}",
            "--collector.disable-defaults",
            *(f"--collector.{name}" for name in _COLLECTORS),
        ],
        POSTGRES: [f"--web.listen-address={HOST}:{port[POSTGRES]}", *exporter],
        BLACKBOX: [f"--web.listen-address={HOST}:{port[BLACKBOX]}", f"--config.file={folder}/blackbox.json"],
        PROMETHEUS: [
            f"--web.listen-address={HOST}:{port[PROMETHEUS]}",
            f"--config.file={folder}/prometheus.json",
            f"--storage.tsdb.path={folder}/data",
            "--storage.tsdb.retention.time=15d",
            "--web.enable-lifecycle",
            "--web.enable-admin-api",
            # An Alertmanager that was started anew has the alerts again at once, not within a minute.
            f"--rules.alert.resend-delay={EVERY_S}s",
        ],
    }
    database = {
        "DATA_SOURCE_URI": f"{HOST}:{database_port or port[PRIMARY]}/platform?sslmode=disable",
        "DATA_SOURCE_USER": "deploygate",
        # Not the password itself: everybody who may see a process could read it there.
        "DATA_SOURCE_PASS_FILE": str(folder / "password"),
    }
    return {
        name: Program(
            [lab.programs[_PROGRAMS[name]], *arguments],
            lab.user,
            database if name == POSTGRES else {},
            death_signal=SIGTERM,
        )
        for name, arguments in found.items()
    }


def start(lab: Lab) -> None:
    """Write the configurations, start all four, and wait until every exporter was scraped. Raises LabError."""
    folder = where(lab)
    folders = [str(folder / name) for name in ("data", "rules", "targets", "alertmanagers")]
    processes.run(["/bin/mkdir", "-p", *folders], user=lab.user)
    nodes.put(lab, folder / "prometheus.json", json.dumps(_CONFIGURATION))
    nodes.put(lab, folder / "password", lab.secret_file("deploygate").read_text())
    nodes.put(lab, folder / "blackbox.json", json.dumps({"modules": {"http_2xx": {"prober": "http"}}}))
    for name, job in ((NODE, "node"), (POSTGRES, "postgres"), (PROMETHEUS, "prometheus")):
        scrape(lab, job, [f"{HOST}:{lab.ports[name]}"])
    now = time.time()
    remembered = [line for service in running(lab) for line in service.history(lab)]
    monitoring_history.backfill(lab, folder, [*remembered, *monitoring_history.spare(now - 60)])
    for name, program in programs(lab).items():
        client.start(lab, name, program)
    try:
        sql.wait_until("Prometheus' first scrapes", lambda: _scraped(lab), 30.0)
    except LabError as error:
        logs = "; ".join(f"{name}: {nodes.log_end(lab, name)}" for name in _PROGRAMS)
        raise LabError(f"{error}: {logs}") from None


def rewrite(lab: Lab, selectors: Sequence[str], within: tuple[float, float], lines: Sequence[str]) -> None:
    """Replace what is remembered of these series between two times by `lines`. Raises LabError."""
    monitoring_history.replace(lab, lab.ports[PROMETHEUS], where(lab), selectors, within, lines)


def query(lab: Lab, text: str) -> list[dict[str, object]]:
    """Return the result of an instant query that gives a vector; nothing while Prometheus does not answer."""
    address = f"http://{HOST}:{lab.ports[PROMETHEUS]}/api/v1/query?{urlencode({'query': text})}"
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            found: list[dict[str, object]] = json.load(answer)["data"]["result"]
            return found
    except (OSError, ValueError, KeyError):
        return []


def rule_groups(lab: Lab) -> list[dict[str, Any]]:
    """Return the groups of rules as Prometheus tells them; nothing while it does not answer."""
    address = f"http://{HOST}:{lab.ports[PROMETHEUS]}/api/v1/rules"
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["groups"]
            return found
    except (OSError, ValueError, KeyError):
        return []


def health(lab: Lab) -> dict[str, str]:
    """Return the health of each rule by name; nothing while Prometheus does not answer."""
    return {rule["name"]: rule["health"] for group in rule_groups(lab) for rule in group["rules"]}


def _scraped(lab: Lab) -> bool:
    return len(query(lab, "up == 1")) >= 3


SERVICE = Service(
    name=PROMETHEUS,
    servers={
        PROMETHEUS: "Prometheus",
        NODE: "the node exporter",
        POSTGRES: "the PostgreSQL exporter, for db1",
        BLACKBOX: "the blackbox exporter",
    },
    programs=(*_PROGRAMS.values(), monitoring_history.PROMTOOL),
    missing="monitoring is not covered; apt install prometheus prometheus-node-exporter prometheus-postgres-exporter "
    "prometheus-blackbox-exporter",
    start=start,
    where=where,
    find=tool,
    profiles=(PROFILE,),
)
