"""What the section takes, and what a mistake in it gets."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from pytest_deploygate.checks.stack.section import Keys, Stack

APP = {"name": "app", "hosts": "web1", "unit": "app.service"}


@pytest.mark.parametrize(
    ("component", "says"),
    [
        ({"name": "app"}, "say how it runs"),
        ({**APP, "version": "1.0"}, "`version` needs what tells it"),
        ({**APP, "package": "app"}, "say which `version`"),
        ({**APP, "package": "app", "version": 1.1}, 'write the version in quotes: "1.1"'),
        ({"name": "app", "unit": "app.service"}, "name its `hosts`"),
        ({"name": "app", "hosts": "web1", "health": {"url": "http://app/"}}, "`hosts` are for what is asked"),
        ({**APP, "image": f"sha256:{'a' * 64}"}, "`image` is that of a `container` or `workload`"),
        ({"name": "app", "hosts": "web1", "container": "app", "image": "app:latest"}, "names no digest"),
        ({"name": "app", "workload": "deploy/app"}, "workload"),
        (
            {
                "name": "app",
                "version": "1",
                "endpoint": {"url": "http://app/version", "pattern": "version"},
            },
            "exactly one group",
        ),
    ],
)
def test_mistakes_in_a_component(component, says):
    with pytest.raises(ValidationError) as caught:
        Stack.model_validate({"components": [component]})
    assert says in str(caught.value)


@pytest.mark.parametrize("option", ["-out=plan", "-lock=true", "-destroy", "apply", "--auto-approve"])
def test_a_plan_only_reads(option):
    with pytest.raises(ValidationError, match="no option of a plan"):
        Stack.model_validate({"plans": [{"name": "cloud", "folder": ".", "options": [option]}]})


def test_nothing_and_the_same_name_twice():
    with pytest.raises(ValidationError, match="at least one component or plan"):
        Stack.model_validate({})
    with pytest.raises(ValidationError, match="must be unique"):
        Stack.model_validate({"components": [APP, APP]})


def test_hosts_must_be_known():
    with pytest.raises(ValidationError, match="app: no server and no role"):
        Keys.model_validate({"stack": {"components": [APP]}})
