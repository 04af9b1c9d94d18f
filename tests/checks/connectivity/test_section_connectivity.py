"""What the section takes, and what a mistake in it gets."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from pytest_deploygate.checks.connectivity.section import Connectivity, Keys
from pytest_deploygate.checks.hosts.section import Hosts, chosen, unknown_groups

SERVICE = {"name": "api", "host": "api.example.com", "port": 443}


def hosts() -> Hosts:
    servers = [
        {"name": name, "connection": f"ssh://{name}.example.com", "roles": [role]}
        for name, role in (("web1", "web"), ("web2", "web"), ("db1", "database"))
    ]
    return Hosts.model_validate({"servers": servers})


def test_one_name_stands_for_a_list():
    section = Connectivity.model_validate({"services": [SERVICE], "rows": [{"from": "here", "to": "api"}]})
    assert [service.name for service in section.wanted(section.rows[0])] == ["api"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"rows": [{"from": "here", "to": "apy"}]}, "did you mean 'api'"),
        ({"services": [SERVICE, SERVICE]}, "a name of its own"),
        ({"timeout": "0s"}, "timeout must be more than 0 s"),
        ({"rows": []}, "at least 1 item"),
    ],
)
def test_mistakes_are_named(changes, says):
    given = {"services": [SERVICE], "rows": [{"from": "here", "to": "api"}], **changes}
    with pytest.raises(ValidationError) as caught:
        Connectivity.model_validate(given)
    assert says in str(caught.value)


def test_hosts_are_chosen_by_name_role_and_all():
    names = [host.name for host in chosen(["web", "web1", "here"], hosts())]
    assert names == ["web1", "web2", "here"]
    assert len(chosen(["all"], hosts())) == 3
    assert list(unknown_groups(["web", "here", "all", "db1"], hosts())) == []


def test_an_unknown_host_is_named_with_the_nearest_one():
    said = next(unknown_groups(["wbe1"], hosts()))
    assert said.startswith("no server and no role in `hosts` is named 'wbe1'")
    assert "web1" in said
    assert "name it in the section `hosts`" in next(unknown_groups(["web1"], None))


def test_the_inventory_knows_the_hosts():
    given = {"services": [SERVICE], "rows": [{"from": "web1", "to": "api"}]}
    with pytest.raises(ValidationError, match="no server and no role"):
        Keys.model_validate({"connectivity": given})
