"""Monitoring: Prometheus and what it scrapes, its rules and alerts, Alertmanager, Grafana."""

__all__ = ["judge", "probe"]
