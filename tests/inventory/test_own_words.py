"""Messages about an inventory are ours: none has the words of pydantic, Python or YAML, whatever stands where."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pytest_deploygate.files import yaml
from pytest_deploygate.inventory import loader
from pytest_deploygate.inventory.loader import InventoryError

EXAMPLE = Path(__file__).parents[2] / "inventories" / "prod.example.yml"
THEIRS = re.compile(
    r"should|valid (integer|number|string|dictionary|list|boolean|date)|or equal|Extra inputs|Field required|Value error"
    r"|instance of|NoneType|unable to|unsupported|isoformat|month must",
)
#: What somebody may write in place of any value.
BAD = ("x", "", 3.5, -1, 10**30, True, [], ["x"], {"a": "b"}, None, float("nan"), "2026-12-24")


def every_leaf_as(node: Any, bad: Any) -> Any:
    if isinstance(node, dict):
        return {key: every_leaf_as(value, bad) for key, value in node.items()}
    if isinstance(node, list):
        return [every_leaf_as(value, bad) for value in node]
    return bad


def problems(folder: Path, text: str) -> list[str]:
    (folder / "inventories").mkdir(exist_ok=True)
    (folder / "inventories" / "x.yml").write_text(text)
    try:
        loader.load("x", folder)
    except InventoryError as error:
        return [str(problem) for problem in error.problems]
    return []


@pytest.mark.parametrize("bad", BAD, ids=repr)
def test_a_wrong_value_anywhere_is_said_in_our_words(tmp_path, bad):
    document = yaml.load(EXAMPLE.read_text())
    file = tmp_path / "inventories" / "x.yml"
    file.parent.mkdir()
    with file.open("w") as stream:
        stream.write(yaml.dumped(every_leaf_as(document, bad)))
    with pytest.raises(InventoryError) as told:
        loader.load("x", tmp_path)
    assert len(told.value.problems) > 10
    assert [str(each) for each in told.value.problems if THEIRS.search(each.text)] == []


NODES = "name: x\ndatabase:\n  name: p\n  user: u\n  primary: {0}\n  replicas: [{1}]\n"
PLAIN = "name: x\ndatabase:\n  name: p\n  user: u\n  primary: db1\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            NODES.format("{host: 127.0.0.1, port: 5432}", "{host: 127.0.0.1, port: 5433}"),
            "x.yml:2: database: two nodes are named 127.0.0.1: give each a name, for example {name: db1, host: 127.0.0.1, "
            "port: 5432} and {name: db2, host: 127.0.0.1, port: 5433}",
        ),
        (NODES.format("10.0.0.1", "10.0.0.1"), "give each a name, and its own host or port"),
        (f"{PLAIN}  migrations: {{tool: djang, expect: '7'}}\n", "did you mean 'django'?"),
        (f"{PLAIN}  migrations: {{}}\n", "`tool: NAME` (flyway, django, golang-migrate, liquibase, rails)"),
        (f"{PLAIN}  sslmode: requir\n", "did you mean 'require'?"),
        ("name: x\ntimetable: {t0: 2026-13-01}\n", "x.yml:2: 2026-13-01 does not exist: 13 is no month"),
        (
            "name: x\ntimetable: {t0: 2026-02-30}\n",
            "x.yml:2: 2026-02-30 does not exist: 2026-02 has no such day",
        ),
        ("name: x\npolicy: {max_waivers: -1}\n", "policy.max_waivers: must be at least 0"),
    ],
)
def test_what_to_write_instead(tmp_path, text, says):
    assert any(says in each for each in problems(tmp_path, text)), problems(tmp_path, text)
