"""Mistakes in the `hosts` section, each with the nearest valid name or the next step."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from pytest_deploygate.checks.hosts.section import Hosts
from pytest_deploygate.redaction import Secret

HERE = {"name": "db1", "connection": "local://", "roles": ["database"]}
SECRET = Secret("correct-horse", "env:SUDO")
MISTAKES = {
    "nothing": ({}, "name the `servers`, or an `ansible` inventory"),
    "an empty list": ({"servers": []}, "name the `servers`"),
    "both": ({"servers": [HERE], "ansible": {"inventory": "."}}, "set either `servers` or `ansible`"),
    "two of one name": ({"servers": [HERE, HERE]}, "2 servers are named 'db1'"),
    "a misspelt role": ({"servers": [HERE], "expected": {"databse": 1}}, "did you mean 'database'?"),
    "a misspelt kind": ({"servers": [{**HERE, "connection": "shh://db1"}]}, "did you mean 'ssh'?"),
    "no kind": ({"servers": [{**HERE, "connection": "db1"}]}, "write for example ssh://db1"),
    "a password for nobody": ({"servers": [{**HERE, "run_as_password": SECRET}]}, "set `run_as`"),
    "a password in a container": (
        {"servers": [{**HERE, "connection": "podman://a", "run_as": "u", "run_as_password": SECRET}]},
        "for a container name its user in the connection",
    ),
    "an option as a pattern": ({"ansible": {"inventory": ".", "pattern": "--help"}}, "pattern"),
    "no inventory": ({"ansible": {"inventory": []}}, "at least 1"),
    "one that is not there": ({"ansible": {"inventory": "/nowhere/hosts.ini"}}, "no such file or folder"),
}


@pytest.mark.parametrize(("keys", "says"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake(keys, says):
    with pytest.raises(ValidationError, match="(?s)" + says.replace("?", "[?]").replace("`", ".")):
        Hosts.model_validate(keys)
