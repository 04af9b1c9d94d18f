"""Monitoring: Prometheus scrapes, evaluates and keeps what it must; its samples are fresh, and move when we move them."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.monitoring import judge, probe


@pytest.mark.item("infra.monitoring")
def test_prometheus(gate, prometheus, expected_monitoring):
    """Every target is there and up, rules are evaluated without error, and each required alert exists and can fire."""

    def ask():
        return probe.server(prometheus, expected_monitoring)

    gate.judge_confirmed(judge.judge_server, ask(), ask, expected_monitoring, target="Prometheus")


@pytest.mark.item("infra.monitoring")
def test_alertmanagers(gate, monitoring, prometheus, alertmanagers, expected_monitoring):
    """The nodes know each other and run one configuration, Prometheus sends to all, no required alert is hidden; and Grafana."""
    found = probe.alertmanagers(prometheus, alertmanagers, expected_monitoring)
    gate.judge(judge.judge_alertmanagers, found, expected_monitoring, target="Alertmanager")
    if monitoring.grafana:
        gate.judge(
            judge.judge_grafana, probe.grafana(monitoring.grafana), monitoring.grafana, target="Grafana"
        )


@pytest.mark.item("phase1.monitoring")
def test_samples_are_fresh(gate, prometheus, expected_monitoring):
    """The newest sample of every target is no older than two scrape intervals."""

    def ask():
        return probe.freshness(prometheus, expected_monitoring)

    gate.judge_confirmed(judge.judge_freshness, ask(), ask, expected_monitoring, target="samples")


@pytest.mark.item("phase1.monitoring")
def test_a_metric_moves(gate, prometheus, moved_metric, budget):
    """A counter rises by as many requests as we send, and does not rise so without them."""
    gate.judge(judge.judge_moved, probe.moved(prometheus, moved_metric, budget), moved_metric, target="moved")


@pytest.mark.item("db.monitoring-queries")
def test_database_exporters(gate, prometheus, database_exporters):
    """Each exporter says that its database answers, without errors, and has the required metrics, fresh."""

    def ask():
        return probe.exporters(prometheus, database_exporters)

    gate.judge_confirmed(judge.judge_exporters, ask(), ask, database_exporters, target="exporters")
