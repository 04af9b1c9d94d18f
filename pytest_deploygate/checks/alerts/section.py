"""The inventory's `alerts` section: Alertmanager's nodes, the routes that alerts take, and where arrival can be seen."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Self

from pydantic import Field, WithJsonSchema, model_validator

from pytest_deploygate.fields.http import HttpAccess, Url
from pytest_deploygate.fields.types import (
    Duration,
    FilePath,
    Given,
    InventoryKeys,
    SecretReference,
    Section,
    Text,
    Words,
)
from pytest_deploygate.fields.validating import After, Before
from pytest_deploygate.problems import nearest

_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Labels that are set by the gate or by the route.
_OURS = ("alertname",)


def _labels(labels: dict[str, str]) -> dict[str, str]:
    for name, value in labels.items():
        if not _LABEL.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a label")
        if not value:
            raise ValueError(f"the label {name} has no value")
    return labels


def _a_label(name: str) -> str:
    if not _LABEL.fullmatch(name) or name in _OURS:
        raise ValueError(f"{name!r} cannot be the label that marks an alert; write for example `deploygate`")
    return name


def _place(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{value!r} is not an address with a port, for example 0.0.0.0:9199")
    return value


def _as_list(value: object) -> object:
    return [value] if isinstance(value, dict) else value


Labels = Annotated[dict[str, str], After(_labels)]
Address = Annotated[Text, After(_place)]


class Webhook(HttpAccess):
    """Notifications of a webhook, kept by a server that gives them back as JSON.

    Alertmanager's own JSON is looked for anywhere in the answer.
    """

    url: Url = Field(
        description="address that returns the notifications that came, for example /requests of a catcher"
    )


class Imap(Section):
    """A mailbox on a mail server, read over IMAP with TLS. Messages are left as they are."""

    host: Text = Field(description="name of the mail server")
    port: int = Field(default=993, ge=1, le=65535, description="its port for IMAP over TLS")
    user: Text = Field(description="user of the mailbox")
    password: SecretReference = Field(description="reference to that user's password")
    folder: str = Field(default="INBOX", description="folder of the mailbox")
    ca_file: FilePath | None = Field(
        default=None, description="file with certificates to trust instead of the system's (PEM)"
    )


class Slack(Section):
    """A channel of Slack, read with `conversations.history`."""

    channel: str = Field(pattern=r"^[A-Z0-9]{3,}$", description="id of the channel, for example C0123456789")
    token: SecretReference = Field(description="reference to a token with the scope `channels:history`")
    url: Url = Field(default="https://slack.com/api", description="address of Slack's API")


class PagerDuty(Section):
    """A service of PagerDuty, whose incidents are listed."""

    service: str = Field(pattern=r"^[A-Z0-9]+$", description="id of the service, for example PABC123")
    token: SecretReference = Field(description="reference to a read-only key of PagerDuty's REST API")
    url: Url = Field(default="https://api.pagerduty.com", description="address of PagerDuty's API")


class Opsgenie(Section):
    """Alerts of Opsgenie, which are searched."""

    token: SecretReference = Field(description="reference to a key with the right to read alerts")
    url: Url = Field(default="https://api.opsgenie.com", description="address of Opsgenie's API")


class Receiver(Section):
    """A receiver of Alertmanager, and where one can see what arrives there."""

    ways: ClassVar[tuple[str, ...]] = (
        "listen",
        "webhook",
        "maildir",
        "imap",
        "slack",
        "pagerduty",
        "opsgenie",
    )

    name: str = Field(description="its name in Alertmanager's configuration")
    listen: Address | None = Field(
        default=None,
        description="address of this machine to which Alertmanager posts; the gate listens there while it tests",
    )
    webhook: Webhook | None = Field(default=None, description="a server that keeps what a webhook got")
    maildir: FilePath | None = Field(default=None, description="folder with the mails that come (Maildir)")
    imap: Imap | None = Field(default=None, description="a mailbox on a mail server")
    slack: Slack | None = Field(default=None, description="a channel of Slack")
    pagerduty: PagerDuty | None = Field(default=None, description="a service of PagerDuty")
    opsgenie: Opsgenie | None = Field(default=None, description="alerts of Opsgenie")
    unseen: Words | None = Field(
        default=None,
        json_schema_extra={"weaker": "any"},
        description="why arrival cannot be seen there: then only that Alertmanager routes to it is required",
    )
    resolved: bool = Field(
        default=True,
        json_schema_extra={"weaker": "false"},
        description="whether it must be told that an alert is resolved",
    )

    @property
    def way(self) -> str:
        """How arrival is seen: one of `ways`, or empty."""
        return next((way for way in self.ways if getattr(self, way) is not None), "")

    @model_validator(mode="after")
    def _one_way_to_see(self) -> Self:
        if sum(getattr(self, way) is not None for way in (*self.ways, "unseen")) != 1:
            said = ", ".join(f"`{way}`" for way in self.ways)
            raise ValueError(
                f"say where arrival at {self.name!r} can be seen: exactly one of {said}; or why not, with `unseen`"
            )
        return self


class Route(Section):
    """Alerts with some labels, and the receivers that they must arrive at."""

    name: str = Field(description="name used in findings")
    labels: Labels = Field(
        min_length=1,
        description="labels by which Alertmanager routes these alerts, for example {severity: critical}",
    )
    receivers: list[str] = Field(min_length=1, description="all receivers that must get them; no other may")
    alerts: list[str] = Field(
        default=[], description="names of alerts that take this route; no silence may hide one of them"
    )


class NightAlerts(Section):
    """What must not fire, and how far back the list of alerts reaches."""

    def is_critical(self, labels: Mapping[str, str]) -> bool:
        """Return whether labels are those of an alert that must not fire."""
        return any(all(labels.get(k) == value for k, value in wanted.items()) for wanted in self.critical)

    critical: Annotated[
        list[Annotated[Labels, Field(min_length=1)]],
        Before(_as_list),
        Field(min_length=1),
        WithJsonSchema(
            {"anyOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}, "minItems": 1}]}
        ),
    ] = Field(
        default=[{"severity": "critical"}],
        description="labels of alerts that must not fire; with a list, those that have all labels of one entry",
    )
    since: Duration = Field(
        default=timedelta(hours=12),
        json_schema_extra={"weaker": "smaller"},
        description="how far back alerts are listed",
    )
    leave_out: list[str] = Field(
        default=[],
        json_schema_extra={"weaker": "any"},
        description="names of alerts that are not looked at",
    )


class Alerts(Section):
    """Routing of alerts, and the alerts of the night.

    Alerts are sent if `opt_in` is the inventory's name, or with `--allow-disruptive`; otherwise their dated record is judged.
    """

    receivers: list[Receiver] = Field(default=[], description="receivers, and where arrival is seen")
    routes: list[Route] = Field(default=[], description="the routes that are tried")
    always: str | None = Field(
        default=None,
        description="name of an alert of Prometheus that always fires (a watchdog): each node must have it",
    )
    within: Duration = Field(
        default=timedelta(seconds=30),
        json_schema_extra={"weaker": "larger"},
        description="how long a notification may take beyond the waiting times in Alertmanager's configuration",
    )
    label: Annotated[str, After(_a_label)] = Field(
        default="deploygate",
        description="label that marks our alerts; its value is the number of the test, and receivers can drop what has it",
    )
    annotations: dict[str, str] = Field(default={}, description="further annotations of our alerts")
    night: NightAlerts = Field(default=NightAlerts(), description="the alerts after the night")
    opt_in: str = Field(
        default="", description="the inventory's name: this environment's receivers may be sent alerts"
    )
    record: FilePath | None = Field(default=None, description="file to which a run writes its dated record")
    max_age: Duration = Field(
        default=timedelta(days=90),
        json_schema_extra={"weaker": "larger"},
        description="a record older than this does not count",
    )

    @model_validator(mode="after")
    def _receivers_are_known(self) -> Self:
        for what, entries in (("receivers", self.receivers), ("routes", self.routes)):
            names = [entry.name for entry in entries]
            if twice := next((name for name in names if names.count(name) > 1), None):
                raise ValueError(f"two {what} are named {twice!r}")
        known = [receiver.name for receiver in self.receivers]
        for route in self.routes:
            for name in route.receivers:
                if name not in known:
                    raise ValueError(
                        f"the route {route.name!r} names {name!r}, which is not in `receivers`{nearest(name, known)}"
                    )
            if self.label in route.labels or "alertname" in route.labels:
                raise ValueError(
                    f"the route {route.name!r} sets a label that the gate sets: {self.label} or alertname"
                )
        return self


_EXAMPLE = (
    "alerts: {receivers: [{name: on-call, webhook: "
    "{url: 'https://catcher.example.com/on-call'}}], routes: [{name: critical, labels: {severity: critical}, receivers: [on-call]}]}"
)


class Keys(InventoryKeys):
    """The key `alerts`."""

    alerts: Annotated[Alerts | None, Given("alerts", _EXAMPLE)] = Field(
        default=None, description="routing of alerts, and the alerts of the night"
    )
