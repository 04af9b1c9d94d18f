"""The section `access_logs`: what is wrong with it is said in words, with the nearest name."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_deploygate.checks.access_logs.section import Keys
from pytest_deploygate.inventory.loader import InventoryError, load
from pytest_deploygate.inventory.weakening import weaker

HOSTS = "hosts: {servers: [{name: web1, connection: 'local://'}, {name: web2, connection: 'local://'}]}\n"
HOP = "{name: nginx, hosts: [web1], file: /var/log/nginx/access.log, format: combined}"


def inventory(tmp_path: Path, hop: str = HOP, more: str = "canaries: {body: false}") -> Path:
    """Write an inventory with one hop."""
    file = tmp_path / "prod.yml"
    file.write_text(
        f"name: prod\n{HOSTS}access_logs:\n  request: {{url: 'https://www.example.com/'}}\n  {more}\n  hops:\n  - {hop}\n"
    )
    return file


def refused(tmp_path: Path, **keys: str) -> str:
    """Return why an inventory is refused."""
    with pytest.raises(InventoryError) as error:
        load(str(inventory(tmp_path, **keys)), tmp_path)
    return str(error.value)


def test_a_hop_on_a_host(tmp_path):
    loaded = load(str(inventory(tmp_path)), tmp_path).inventory
    section = loaded.of(Keys).access_logs
    assert section is not None
    assert [hop.hosts for hop in section.hops] == [["web1"]]
    assert [each.text for each in weaker(loaded) if "access_logs" in each.text] == [
        "access_logs.canaries.body is false, by default true"
    ]


def test_a_host_that_is_misspelt(tmp_path):
    said = refused(tmp_path, hop=HOP.replace("web1", "wbe1"))
    assert "access_logs.hops[nginx]: no server in `hosts.servers` is named 'wbe1'" in said
    assert "'web1'" in said


WRONG = {
    "no log": (
        "{name: a, format: combined}",
        "set exactly one of `file`, `journal`, `loki` and `opensearch`",
    ),
    "two logs": (
        "{name: a, connection: 'local://', file: /a, journal: b, format: combined}",
        "set exactly one of `file`, `journal`",
    ),
    "a file nowhere": ("{name: a, file: /a, format: combined}", "needs either `hosts` or `connection`"),
    "a file at two places": (
        "{name: a, hosts: [web1], connection: 'local://', file: /a, format: combined}",
        "needs either `hosts` or `connection`",
    ),
    "a store on a host": (
        "{name: a, hosts: [web1], loki: {url: 'https://l.example.com', query: '{a=\"b\"}'}, format: combined}",
        "a log in Loki or OpenSearch none of them",
    ),
    "no form": ("{name: a, hosts: [web1], file: /a}", "set exactly one of `format`, `nginx` and `apache`"),
    "JSON without keys": (
        "{name: a, hosts: [web1], file: /a, format: json}",
        "`format: json` needs `fields`",
    ),
    "the name of a form": (
        "{name: a, hosts: [web1], file: /a, nginx: main}",
        "write the format itself, not its name",
    ),
    "a relative path": (
        "{name: a, hosts: [web1], file: a.log, format: combined}",
        "is not a path from the root",
    ),
    "a zone": (
        "{name: a, hosts: [web1], file: /a, format: haproxy, zone: Europe/Brelin}",
        "'Europe/Brelin' is not a time zone",
    ),
    "a mode": ("{name: a, hosts: [web1], file: /a, format: common, mode: '0999'}", "mode"),
    "an unknown value": (
        "{name: a, hosts: [web1], file: /a, format: common, may_lack: [referer]}",
        "may_lack",
    ),
}


@pytest.mark.parametrize(("hop", "says"), WRONG.values(), ids=WRONG)
def test_a_hop_that_is_wrong(tmp_path, hop, says):
    said = refused(tmp_path, hop=hop)
    assert says in said
    assert "prod.yml:" in said


def test_a_body_needs_an_address_or_a_word(tmp_path):
    assert "`canaries.body` needs a request with a body" in refused(tmp_path, more="within: 5s")


def test_a_body_of_its_own(tmp_path):
    said = refused(tmp_path, more="post: {url: 'https://www.example.com/', json: {a: b}}")
    assert "`post` has a body of its own" in said


def test_two_hops_of_one_name(tmp_path):
    assert "2 hops are named 'nginx'" in refused(tmp_path, hop=f"{HOP}\n  - {HOP}")


@pytest.mark.parametrize(("mode", "weak"), [("600", False), ("0640", False), ("644", True), ("0660", True)])
def test_a_weaker_mode(tmp_path, mode, weak):
    hop = HOP.replace("format", f"mode: '{mode}', format")
    loaded = load(str(inventory(tmp_path, hop=hop)), tmp_path).inventory
    assert any("mode" in each.text for each in weaker(loaded)) is weak
