"""The inventory's `monitoring` section: the servers that watch the platform, and what they must have."""

import re
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pytest_deploygate.fields.alertmanager import Alertmanager
from pytest_deploygate.fields.http import HttpAccess, HttpRequest, Url
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.fields.types import Duration, Given, InventoryKeys, Section, Text
from pytest_deploygate.fields.validating import After

#: What Prometheus tells of itself, and what speaks its API may not.
Part = Literal["targets", "rules", "reload", "retention", "cardinality", "ready", "alertmanagers"]
_METRIC = r"^[a-zA-Z_:][a-zA-Z0-9_:]*$"
_SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)?(\{[^{}]+\})?")


def _a_selector(text: str) -> str:
    if not text or not _SELECTOR.fullmatch(text):
        raise ValueError(
            f"{text!r} does not select series: write for example "
            "'http_requests_total{job=\"api\"}', without functions and ranges"
        )
    return text


#: Series by name and labels, without functions.
Selector = Annotated[str, After(_a_selector)]


class ExpectedTargets(Section):
    """The targets that a job must have."""

    job: str = Field(min_length=1, description="value of the label `job`")
    instances: list[Text] = Field(
        default=[], description="values of the label `instance` that must be there, e.g. db1.example.com:9100"
    )
    at_least: int = Field(
        default=1,
        ge=1,
        json_schema_extra={"weaker": "smaller"},
        description="how many targets the job must have",
    )
    metric: str | None = Field(
        default=None,
        pattern=_METRIC,
        description="a metric that each of them has: its newest sample tells how fresh a target is; without it, "
        "all series of the job do",
    )


class RequiredAlert(Section):
    """An alert that must exist, and be able to fire."""

    name: str = Field(min_length=1, description="name of the alert")
    labels: dict[str, str] = Field(
        default={}, description="labels that it must have, e.g. {severity: critical}"
    )


class Expected(Section):
    """What Prometheus must scrape, evaluate and keep."""

    targets: list[ExpectedTargets] = Field(min_length=1, description="the targets that must be there and up")
    alerts: list[RequiredAlert] = Field(
        min_length=1, description="the alerts that must exist, be evaluated, and have series"
    )
    may_be_down: list[str] = Field(
        default=[],
        json_schema_extra={"weaker": "any"},
        description="jobs of targets that may be down; all others must be up, expected or not",
    )
    may_share: list[str] = Field(
        default=[],
        json_schema_extra={"weaker": "any"},
        description="jobs that may scrape an address that another target has, too",
    )
    retention: Duration = Field(
        default=timedelta(days=15),
        json_schema_extra={"weaker": "smaller"},
        description="how long samples must be kept",
    )
    max_series: int = Field(
        default=2_000_000,
        ge=1,
        json_schema_extra={"weaker": "larger"},
        description="most series in memory; Prometheus needs 3 to 4 kB for each",
    )
    intervals: float = Field(
        default=2.0,
        gt=0,
        json_schema_extra={"weaker": "larger"},
        description="age of the newest sample, and of a rule's evaluation, in intervals",
    )
    scrape_interval: Duration | None = Field(
        default=None,
        description="of all targets, where the server does not tell them: with `does_without: [targets]`",
    )
    clock_tolerance: Duration = Field(
        default=timedelta(seconds=5),
        json_schema_extra={"weaker": "larger"},
        description="how far the server's clock may be from that of the machine that runs the gate",
    )
    does_without: list[Part] = Field(
        default=[],
        json_schema_extra={"weaker": "any"},
        description="what this server cannot tell, because it is not Prometheus itself",
    )

    @model_validator(mode="after")
    def _expects_each_once(self) -> Self:
        for what, names in (
            ("job", [target.job for target in self.targets]),
            ("alert", [alert.name for alert in self.alerts]),
        ):
            for name in names:
                if names.count(name) > 1:
                    raise ValueError(
                        f"the {what} {name!r} is named {names.count(name)} times: once is enough"
                    )
        return self


class Grafana(HttpAccess):
    """Grafana, with the dashboards that people need."""

    url: Url = Field(description="base address, e.g. https://grafana.example.com")
    dashboards: list[str] = Field(min_length=1, description="UIDs of the dashboards that must be there")
    data_sources: list[str] = Field(
        default=[], description="UIDs of the data sources that must be healthy; without any, all are asked"
    )
    timeout: Duration = Field(default=timedelta(seconds=10), description="response timeout")


class Moved(HttpRequest):
    """A request of ours that the platform counts, and the metric that counts it."""

    url: Url = Field(description="what is asked; it must change nothing, e.g. a health check")
    metric: Selector = Field(
        description="the counter, as name and labels, e.g. http_requests_total{job='api', path='/healthz'}"
    )
    requests: int = Field(
        default=20,
        ge=1,
        le=500,
        description="how many requests are sent, so that the rise is told from others'",
    )
    within: Duration = Field(
        default=timedelta(minutes=2),
        json_schema_extra={"weaker": "larger"},
        description="time in which Prometheus must have counted them: at least two scrape intervals",
    )


class DatabaseExporters(Section):
    """The exporters that read the databases' statistics."""

    job: str = Field(default="postgres", description="value of the label `job`")
    instances: list[Text] = Field(
        min_length=1, description="values of the label `instance`, one for each database"
    )
    up: str = Field(
        default="pg_up", pattern=_METRIC, description="metric that is 1 while the database answers"
    )
    failed: str | None = Field(
        default="pg_exporter_last_scrape_error",
        pattern=_METRIC,
        description="metric that is 0 if all of the exporter's queries worked; null where it has none",
    )
    metrics: list[Selector] = Field(
        default=[
            "pg_stat_database_xact_commit",
            "pg_stat_database_numbackends",
            "pg_settings_max_connections",
        ],
        min_length=1,
        description="metrics that each exporter must have, fresh",
    )
    intervals: float = Field(
        default=2.0,
        gt=0,
        json_schema_extra={"weaker": "larger"},
        description="age of the newest sample in scrape intervals",
    )


_EXPECTED = (
    "monitoring: {prometheus: {url: 'https://prometheus.example.com'}, expected: {targets: [{job: node, at_least: 3}], "
    "alerts: [{name: InstanceDown, labels: {severity: critical}}]}}"
)


class Monitoring(Section):
    """The servers that watch the platform. Other sections' series and queries are asked of this Prometheus."""

    prometheus: Annotated[
        Prometheus | None,
        Given("prometheus", "monitoring: {prometheus: {url: 'https://prometheus.example.com'}}"),
    ] = Field(default=None, description="Prometheus, or another server with its API")
    expected: Annotated[Expected | None, Given("expected_monitoring", _EXPECTED)] = Field(
        default=None, description="what it must scrape, evaluate and keep"
    )
    moved: Annotated[
        Moved | None,
        Given(
            "moved_metric",
            "monitoring: {moved: {url: 'https://app.example.com/healthz', metric: 'http_requests_total{job=\"app\"}'}}",
        ),
    ] = Field(default=None, description="a metric that must move when the gate causes it to")
    alertmanagers: Annotated[
        list[Alertmanager] | None,
        Given("alertmanagers", "monitoring: {alertmanagers: [{url: 'https://alerts1.example.com:9093'}]}"),
        Field(min_length=1),
    ] = Field(default=None, description="every node of the Alertmanager cluster")
    grafana: Grafana | None = Field(
        default=None, description="Grafana, where people look at dashboards; asked with the Alertmanagers"
    )
    databases: Annotated[
        DatabaseExporters | None,
        Given("database_exporters", "monitoring: {databases: {instances: ['db1.example.com:9187']}}"),
    ] = Field(default=None, description="the exporters of the databases")


class Keys(InventoryKeys):
    """The key `monitoring`."""

    monitoring: Annotated[
        Monitoring | None,
        Given("monitoring", "monitoring: {prometheus: {url: 'https://prometheus.example.com'}}"),
    ] = Field(default=None, description="Prometheus, Alertmanager and Grafana")
