"""The section `log_delivery`: what is a mistake in it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from pytest_deploygate.checks.hosts.section import Hosts
from pytest_deploygate.checks.hosts.section import Keys as HostKeys
from pytest_deploygate.checks.log_delivery.section import Keys, LogDelivery

AT = {"host": "logs1", "file": "/var/log/remote/{host}.log"}
HOSTS = {
    "servers": [
        {"name": "web1", "connection": "ssh://web1.example.com", "roles": ["web"]},
        {"name": "logs1", "connection": "ssh://logs1.example.com"},
    ]
}


class Both(Keys, HostKeys):
    """The section with the hosts that it names."""


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"aggregator": {}}, "set exactly one of `file`, `loki` and `opensearch`"),
        ({"aggregator": {"file": "/var/log/all.log"}}, "a `file` needs either `host` or `connection`"),
        (
            {
                "aggregator": {
                    "host": "logs1",
                    "loki": {"url": "https://loki.example.com", "query": "{a='b'}"},
                }
            },
            "a log store none of them",
        ),
        ({"aggregator": {**AT, "format": "syslog"}}, "lines of `format: syslog` have no level"),
        ({"aggregator": AT, "facility": "lokal0"}, "no facility is named 'lokal0'; did you mean 'local0'?"),
        ({"aggregator": AT, "longest": "200B"}, "from 256 B to 65000 B"),
        ({"aggregator": AT, "within": "0s"}, "`within` must be more than 0 s"),
        (
            {"aggregator": AT, "send": {"file": "/a", "socket": "/b"}},
            "`socket` and `file` are mutually exclusive",
        ),
        ({"aggregator": {**AT, "file": "all.log"}}, "is not a path from the root"),
        ({"aggregator": {**AT, "zone": "Berlin"}}, "'Berlin' is not a time zone"),
        ({"aggregator": {**AT, "file": "/var/log/{hostname}.log"}}, "{hostname} is not known; write {host}"),
        ({"aggregator": AT, "hosts": ["wep"]}, "no host or role is named 'wep'"),
        ({"aggregator": {**AT, "host": "logs2"}}, "no server in `hosts.servers` is named 'logs2'"),
        ({"aggregator": AT, "named": {"web9": "w"}}, "no server in `hosts.servers` is named 'web9'"),
    ],
)
def test_mistakes(given: object, says: str) -> None:
    with pytest.raises(ValidationError) as error:
        Both.model_validate({"log_delivery": given, "hosts": HOSTS})
    assert says in str(error.value)


def test_hosts_are_needed() -> None:
    with pytest.raises(ValidationError, match="add `hosts`, the servers that log"):
        Both.model_validate({"log_delivery": {"aggregator": AT}})


def test_senders_are_hosts_roles_or_all() -> None:
    hosts = Hosts.model_validate(HOSTS)

    def names(*given: str) -> list[str]:
        section = LogDelivery.model_validate({"aggregator": AT, **({"hosts": list(given)} if given else {})})
        return [host.name for host in section.senders(hosts)]

    assert names() == ["web1", "logs1"]
    assert names("web", "web1") == ["web1"]
