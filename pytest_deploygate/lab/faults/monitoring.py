"""Faults of what watches the platform: targets, rules, alerts, and an exporter whose database is gone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from pytest_deploygate.lab import client, sql
from pytest_deploygate.lab.faults import Change, Fault
from pytest_deploygate.lab.services import alerting, monitoring, watched
from pytest_deploygate.lab.services.monitoring import BLACKBOX, NODE, POSTGRES, PROMETHEUS
from pytest_deploygate.lab.state import HOST, Lab

INVENTORY = "lab-monitoring"
_NEEDS = (PROMETHEUS, watched.BATCH)
_BROKEN = "broken"


def _until(what: str, query: str) -> Change:
    """Return a change that waits until Prometheus finds something."""
    return lambda lab: sql.wait_until(what, lambda: bool(monitoring.query(lab, query)), 30.0)


def _scraped_anew(lab: Lab) -> None:
    """Scrape and tell as the lab does, and wait until all is up again."""
    watched.tell(lab)
    watched.scrape(lab)
    jobs = json.dumps("|".join(watched.JOBS))
    fresh = f'count(up{{job=~{jobs}}} == 1) == {len(watched.JOBS)} and on() time() - timestamp(lab_batch_rows{{host=""}}) < 5'
    _until("scrapes of all targets", fresh)(lab)
    # Between two jobs of the same address, old samples of the wrong one are gone with the next scrape.
    _until("the exporter's own series", 'blackbox_exporter_build_info{job="blackbox"}')(lab)


def _absent(lab: Lab) -> None:
    monitoring.scrape(lab, "batch", [])
    sql.wait_until("end of the target", lambda: not monitoring.query(lab, 'up{job="batch"}'), 30.0)


def _tell(text: Callable[[], str], seen: str) -> Change:
    def change(lab: Lab) -> None:
        watched.tell(lab, text())
        _until("the next scrape", seen)(lab)

    return change


def _elsewhere(lab: Lab) -> None:
    """Scrape another server under the name of the blackbox exporter."""
    named = {"instance": f"{HOST}:{lab.ports[BLACKBOX]}"}
    monitoring.scrape(lab, "blackbox", [f"{HOST}:{lab.ports[NODE]}"], named)
    _until("the other server's series", 'node_uname_info{job="blackbox"}')(lab)


def _rules(change: Callable[[list[dict[str, object]]], list[dict[str, object]]]) -> Change:
    return lambda lab: watched.evaluate(lab, change(watched.alerts()))


def _rules_anew(lab: Lab) -> None:
    watched.evaluate(lab, watched.alerts())


def _refused(lab: Lab) -> None:
    monitoring.rules(
        lab, _BROKEN, [{"name": _BROKEN, "rules": [watched.alert("Broken", "up ==", "critical")]}]
    )
    monitoring.reload(lab)


def _accepted(lab: Lab) -> None:
    monitoring.rules(lab, _BROKEN, [])
    monitoring.reload(lab)


def _silence(lab: Lab) -> None:
    alerting.silence(lab, "alertname", "DatabaseDown", "until the restart is over")
    alerting.silenced(lab)


def _exporter(database_port: int | None, seen: str, *options: str) -> Change:
    def change(lab: Lab) -> None:
        client.stop(lab, POSTGRES)
        client.start(lab, POSTGRES, monitoring.programs(lab, database_port, options)[POSTGRES])
        _until("the exporter's next scrape", seen)(lab)

    return change


def _stop_exporter(lab: Lab) -> None:
    client.stop(lab, POSTGRES)
    _until("a scrape without an answer", 'up{job="postgres"} == 0')(lab)


ABSENT = Fault(
    "target-absent",
    "the batch job is no longer in Prometheus' configuration",
    {"infra.monitoring": "fail", "phase1.monitoring": "fail"},
    _absent,
    _scraped_anew,
    says="is absent, so nothing about it can alert",
    tests=("test_prometheus", "test_samples_are_fresh"),
    needs=_NEEDS,
    inventory=INVENTORY,
)
UNREADABLE = Fault(
    "target-unreadable",
    "the batch job answers its scrapes with a login page; its old values are still there",
    {"infra.monitoring": "fail", "phase1.monitoring": "fail", "after.alerts": "inconclusive"},
    _tell(lambda: "<html><body>Please log in</body></html>\n", 'up{job="batch"} == 0'),
    _scraped_anew,
    says="of batch is down",
    tests=("test_prometheus", "test_samples_are_fresh"),
    needs=_NEEDS,
    inventory=INVENTORY,
)
STALE = Fault(
    "target-stale",
    "the batch job is scraped, and tells values with a time of three minutes ago",
    {"phase1.monitoring": "fail"},
    _tell(
        lambda: (
            f'lab_batch_last_success_seconds{{host="batch1"}} {time.time():.0f} {round((time.time() - 180) * 1000)}\n'
        ),
        'lab_batch_last_success_seconds{host="batch1"} unless on() lab_batch_rows{host=""}',
    ),
    _scraped_anew,
    says="it is scraped, but tells old values",
    tests=("test_samples_are_fresh",),
    needs=_NEEDS,
    inventory=INVENTORY,
)
ELSEWHERE = Fault(
    "target-elsewhere",
    "under the name of the blackbox exporter Prometheus scrapes another server",
    {"infra.monitoring": "fail", "phase1.monitoring": "fail"},
    _elsewhere,
    _scraped_anew,
    says="Prometheus scrapes another server than the one that answers",
    tests=("test_prometheus", "test_a_metric_moves"),
    needs=(*_NEEDS, BLACKBOX, NODE),
    inventory=INVENTORY,
)
RULE_ERROR = Fault(
    "rule-error",
    "the expression of a required alert ends in an error: it reads `inactive`",
    {"infra.monitoring": "fail"},
    _rules(
        lambda rules: [
            *rules[:-1],
            watched.alert(
                "BatchLate", "node_cpu_seconds_total > on(instance) node_cpu_seconds_total", "warning"
            ),
        ]
    ),
    _rules_anew,
    says="the alert BatchLate of platform ends in an error (it reads inactive, but says nothing)",
    tests=("test_prometheus",),
    needs=_NEEDS,
    inventory=INVENTORY,
)
MISSING = Fault(
    "alert-missing",
    "a required alert is no longer in the rules",
    {"infra.monitoring": "fail"},
    _rules(lambda rules: [rule for rule in rules if rule["alert"] != "DatabaseDown"]),
    _rules_anew,
    says="the required alert DatabaseDown is missing",
    tests=("test_prometheus",),
    needs=_NEEDS,
    inventory=INVENTORY,
)
BLIND = Fault(
    "alert-blind",
    "a required alert is about a metric that does not exist: it is evaluated well, and inactive for ever",
    {"infra.monitoring": "fail"},
    _rules(
        lambda rules: [
            *rules[:-1],
            watched.alert("BatchLate", "time() - lab_batch_success_seconds > 86400", "warning"),
        ]
    ),
    _rules_anew,
    says="has nothing to watch: there is no metric lab_batch_success_seconds",
    tests=("test_prometheus",),
    needs=_NEEDS,
    inventory=INVENTORY,
)
OLD_RULES = Fault(
    "rules-refused",
    "Prometheus refused its newest rules and goes on with the old ones",
    {"infra.monitoring": "fail"},
    _refused,
    _accepted,
    says="could not load its newest configuration",
    tests=("test_prometheus",),
    needs=_NEEDS,
    inventory=INVENTORY,
)
DEAD_DATABASE = Fault(
    "exporter-without-database",
    "the PostgreSQL exporter answers its scrapes, but cannot reach its database",
    {
        "db.monitoring-queries": "fail",
        "golive.resources": "inconclusive",
        "stab.resources": "inconclusive",
    },
    _exporter(1, "pg_up == 0"),
    _exporter(None, "pg_up == 1 and on() pg_stat_database_numbackends"),
    says="the exporter answers, but its database does not",
    tests=("test_database_exporters", "test_resources_last"),
    needs=(*_NEEDS, POSTGRES),
    inventory=INVENTORY,
)
EXPORTER_DOWN = Fault(
    "exporter-down",
    "the PostgreSQL exporter is stopped",
    {
        "infra.monitoring": "fail",
        "db.monitoring-queries": "fail",
        "phase1.monitoring": "fail",
        "golive.resources": "inconclusive",
        "stab.resources": "inconclusive",
        "after.alerts": "inconclusive",
    },
    _stop_exporter,
    _exporter(None, "pg_up == 1 and on() pg_stat_database_numbackends"),
    says="the exporter does not answer its scrapes",
    tests=("test_prometheus", "test_database_exporters", "test_samples_are_fresh", "test_resources_last"),
    needs=(*_NEEDS, POSTGRES),
    inventory=INVENTORY,
)
METRIC_STALE = Fault(
    "exporter-metric-stale",
    "the PostgreSQL exporter was started anew without the settings: those that Prometheus has are old",
    {"db.monitoring-queries": "fail"},
    _exporter(
        None,
        "pg_up == 1 and on() pg_stat_database_numbackends unless on() pg_settings_max_connections",
        "--disable-settings-metrics",
    ),
    _exporter(None, "pg_up == 1 and on() pg_settings_max_connections"),
    says="the newest sample of pg_settings_max_connections is",
    tests=("test_database_exporters",),
    needs=(*_NEEDS, POSTGRES),
    inventory=INVENTORY,
)
HIDDEN = Fault(
    "required-alert-silenced",
    "somebody has silenced the alert about the database, and forgot it",
    {"infra.monitoring": "fail"},
    _silence,
    alerting.end_silences,
    says="hides the required alert DatabaseDown",
    tests=("test_alertmanagers",),
    needs=(*_NEEDS, *alerting.NODES),
    inventory=INVENTORY,
)
