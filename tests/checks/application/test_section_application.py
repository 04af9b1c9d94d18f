"""What the section takes, and what a mistake in it gets."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from pytest_deploygate.checks.application.section import Application, Keys

PAGE = {"url": "http://app1/version"}


def service(name: str, **keys: Any) -> dict[str, Any]:
    replica = {"name": f"{name}1", "endpoint": PAGE, "health": {"url": "http://app1/readyz"}}
    return {"name": name, "version": "2.4.0", "replicas": [replica], **keys}


def made(*services: dict[str, Any]) -> Application:
    return Application.model_validate({"services": list(services)})


def test_the_version_of_a_service_is_that_of_its_replicas_unless_they_have_one():
    own = {"name": "canary", "endpoint": PAGE, "version": "2.5.0"}
    bare = {"name": "process", "hosts": "here", "process": "app"}
    found = made(service("app", replicas=[*service("app")["replicas"], own, bare]))
    assert [each.version for each in found.services[0].replicas] == ["2.4.0", "2.5.0", None]
    assert found.services[0].number == 3


def test_services_come_after_those_that_they_need():
    found = made(service("web", needs="app"), service("app", needs=["database"]), service("database"))
    assert [each.name for each in found.in_order()] == ["database", "app", "web"]


@pytest.mark.parametrize(
    ("services", "says"),
    [
        ([], "at least 1 item"),
        ([service("app", replicas=[])], "at least 1 item"),
        ([service("app", needs=["databse"]), service("database")], "did you mean 'database'"),
        ([service("a", needs=["b"]), service("b", needs=["a"])], "no service can be the first"),
        ([service("a", needs=["a"])], "a needs a"),
        ([service("app"), service("app")], "several services are named 'app'"),
        ([service("app"), service("web", replicas=service("app")["replicas"])], "2 are named 'app1'"),
        (
            [service("app", replicas=[{"name": "app", "workload": "deployment/app"}])],
            "say how many replicas are `expected`",
        ),
        (
            [service("app", replicas=service("a")["replicas"] * 2, expected=1)],
            "2 replicas are named and 1 expected",
        ),
        ([{**service("app", entrance=PAGE), "version": None}], "say which `version`"),
    ],
)
def test_mistakes(services, says):
    with pytest.raises(ValidationError) as caught:
        made(*services)
    assert says in str(caught.value)


def test_hosts_must_be_known():
    replica = {"name": "app1", "hosts": "web9", "process": "app"}
    with pytest.raises(ValidationError, match="app1: no server and no role"):
        Keys.model_validate({"application": {"services": [{"name": "app", "replicas": [replica]}]}})
