"""Pools as people write them, and what contradicts itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_deploygate.checks.load_balancer.section import Keys, split
from pytest_deploygate.inventory import loader

POOL = """
load_balancer:
  pools:
    - name: web
      {target}
      told_by: {told}
      backends: [{{name: web1, weight: 3}}, {{name: web2}}, {{name: web3, out: maint}}]
      {more}
"""


def load(
    tmp_path: Path, more: str = "", target: str = "url: http://127.0.0.1/", told: str = "{header: X-Backend}"
):
    path = tmp_path / "staging.yml"
    path.write_text("name: staging" + POOL.format(target=target, told=told, more=more))
    section = loader.load(str(path), tmp_path).inventory.of(Keys).load_balancer
    return section.pools[0]


def test_shares_are_those_of_the_backends_in_rotation(tmp_path):
    assert load(tmp_path).shares == {"web1": 0.75, "web2": 0.25}


def test_what_suffices_depends_on_the_layer(tmp_path):
    assert load(tmp_path).enough is None
    assert load(tmp_path, "layer: 4").enough == "tcp"
    assert load(tmp_path, "checks: passive").enough == "passive"


@pytest.mark.parametrize(
    ("place", "expected"),
    [("192.0.2.1:80", ("192.0.2.1", 80)), ("[2001:db8::1]:443", ("2001:db8::1", 443)), ("a.b:1", ("a.b", 1))],
)
def test_places(place, expected):
    assert split(place) == expected


WRONG = {
    "no way to tell": ({"told": "{}"}, "say how an answer tells its backend"),
    "two ways": ({"told": "{header: A, cookie: B}"}, "say how an answer tells its backend"),
    "pattern without a group": ({"told": "{body: web.}"}, "needs one group"),
    "no pattern": ({"told": "{body: '('}"}, "is not a regular expression"),
    "counters of nobody": ({"told": "{counters: true}"}, "needs `control`"),
    "no target": ({"target": "layer: 7"}, "name what is asked"),
    "no port": ({"target": "tcp: web.example.com", "told": "{body: '(.*)'}"}, "no address with a port"),
    "tcp has no headers": ({"target": "tcp: 127.0.0.1:80"}, "has no headers"),
    "drill of a stranger": ({"more": "drill: {backend: wbe2, break: a, repair: b}"}, "did you mean 'web2'"),
    "drill of one that is out": (
        {"more": "drill: {backend: web3, break: a, repair: b}"},
        "no backend in rotation",
    ),
    "hash without its header": ({"more": "balance: hash-header"}, "need each other"),
    "one address": ({"more": "redundancy: {addresses: ['127.0.0.1:80']}"}, "at least 2 are needed"),
    "two kinds of redundancy": (
        {"more": "redundancy: {dns: 2, provider: a cloud}"},
        "how the balancer itself",
    ),
    "a control of no program": ({"more": "control: [{name: lb1}]"}, "exactly one of"),
}


@pytest.mark.parametrize(("given", "says"), WRONG.values(), ids=WRONG)
def test_what_contradicts_itself(tmp_path, given, says):
    with pytest.raises(loader.InventoryError) as error:
        load(tmp_path, **given)
    assert says in " ".join(str(error.value).split())


def test_the_same_name_twice(tmp_path):
    path = tmp_path / "staging.yml"
    text = "name: staging" + POOL.format(target="url: http://a.b/", told="{header: X}", more="")
    path.write_text(text.replace("name: web2", "name: web1"))
    with pytest.raises(loader.InventoryError, match="same name"):
        loader.load(str(path), tmp_path)
