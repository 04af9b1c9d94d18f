"""The JSON Schema for editors: in sync with the models, accepts the examples, rejects the usual mistakes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

import pytest_deploygate
from pytest_deploygate.cli import main
from pytest_deploygate.fields.sources.lab import INVENTORIES as LAB_INVENTORIES
from pytest_deploygate.files import yaml
from pytest_deploygate.inventory import sections
from pytest_deploygate.inventory.schema import json_schema

INVENTORIES = Path(__file__).parents[2] / "inventories"


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    Draft202012Validator.check_schema(json_schema())
    return Draft202012Validator(json_schema())


def example(name):
    folder = LAB_INVENTORIES if name.startswith("lab") else INVENTORIES
    return yaml.load((folder / name).read_text())


def test_the_committed_file_is_in_step():
    """inventories/inventory.schema.json is what `deploygate schema` prints; if not, run the command again."""
    committed = (INVENTORIES / "inventory.schema.json").read_text()
    assert json.loads(committed) == json_schema()
    printed = CliRunner().invoke(main, ["schema"])
    assert printed.exit_code == 0
    assert printed.output == committed


def test_it_says_what_it_is():
    """Dialect, id and title exist, every key of every section is described, defaults are written as in inventories."""
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"]
    assert schema["title"] == "pytest-deploygate inventory"
    assert schema["required"] == ["name"]
    for section in schema["$defs"].values():
        for part in [section, *section.get("anyOf", [])]:
            for name, key in part.get("properties", {}).items():
                assert key.get("description"), name
    assert schema["$defs"]["Replication"]["properties"]["max_lag_time"]["default"] == "10s"
    assert '"PT' not in json.dumps(schema)


def test_defaults_keep_their_own_rules(validator):
    """Every default in the schema is valid against the schema."""
    definitions = validator.schema["$defs"]
    for name, section in definitions.items():
        for key, rule in section.get("properties", {}).items():
            checked = validator.evolve(schema={**rule, "$defs": definitions})
            if "default" in rule:
                assert checked.is_valid(rule["default"]), (name, key)


@pytest.mark.parametrize("name", ["lab.yml", "lab-guards.yml", "staging.example.yml", "prod.example.yml"])
def test_inventories_are_valid(validator, name):
    """The lab's inventory and the examples are valid."""
    assert [error.message for error in validator.iter_errors(example(name))] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["databse"], {}),
        (["database", "passwrd"], "env:X"),
        (["database", "password"], "hunter2"),
        (["database", "replicas"], []),
        (["database", "primary"], "postgresql://u:p@db1/x"),
        (["database", "primary"], {"name": "db1"}),
        (["database", "primary"], {"host": "db1", "port": 99999}),
        (["database", "connect_timeout"], 5),
        (["database", "connect_timeout"], "5 parsecs"),
        (["database", "replication", "max_lag"], "16 XB"),
        (["database", "replication", "slots"], "maybe"),
        (["database", "migrations"], {}),
        (["database", "backups", 0, "last_run"], {}),
        (["database", "backups", 0, "schedule"], {"pg_cron": "a", "systemd_timer": "b"}),
        (["not_applicable", 0, "reason"], "no"),
        (["name"], 3),
    ],
)
def test_the_usual_mistakes_are_seen(validator, path, value):
    """An editor marks what the loader would reject."""
    document = example("prod.example.yml")
    place = document
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    assert list(validator.iter_errors(document))


def test_every_section_that_tests_name_is_known():
    """`Given` and `Each` of a field are lost if the field's type is defined further down in its module."""
    package = Path(pytest_deploygate.__file__).parent
    sources = [*package.glob("checks/*/section.py"), *package.glob("checks/*/section/*.py")]
    said = {
        name for file in sources for name in re.findall(r'\b(?:Given|Each)\(\s*"(\w+)"', file.read_text())
    }
    assert len(said) > 30
    assert said - set(sections.declared()) == set()
