"""What is read from the files of sections is what they declare."""

from __future__ import annotations

import pytest

from pytest_deploygate import checks
from pytest_deploygate.fields.types import DatabaseKeys, Each, Given, InventoryKeys
from pytest_deploygate.inventory import index, sections
from pytest_deploygate.inventory.models import Database, Inventory, composed, keys_of

OWN = {"": Inventory.model_fields, "database": Database.model_fields}


def test_keys_are_those_of_the_models() -> None:
    declared = {}
    for subject in checks.subjects():
        for section, kind in (("", InventoryKeys), ("database", DatabaseKeys)):
            for keys in keys_of(subject, kind):
                for name, field in keys.model_fields.items():
                    assert field.alias in (None, name), "a key of a subject has its field's name"
                    declared[section, name] = subject
    assert index.keys() == declared


def test_names_are_those_that_tests_can_request() -> None:
    own = sections.of_subject("")
    declared = {name: section.said for name, section in sections.declared().items() if name not in own}
    assert index.names().keys() == declared.keys()
    kinds = {name: Given if kind == "Given" else Each for name, (_, kind) in index.names().items()}
    assert {name: type(said) for name, said in declared.items()} == kinds
    for name, section in sections.declared().items():
        assert sections.find(name) == section
    assert sections.find("no_such_section") is None


def test_what_is_optional_or_has_defaults_is_said_by_its_subject() -> None:
    for name, section in sections.declared().items():
        subject = sections.subject_of(name)
        if subject and section.said.optional:
            assert subject in index.with_optional()
            assert sections.optional(name)
        if subject and isinstance(section.said, Given) and section.said.defaults_with:
            assert subject in index.with_defaults()


def test_what_is_absent_is_missing() -> None:
    for among in ((), ("dns", "structure"), ("postgres", "hosts", "tls")):
        inventory = composed(frozenset(among)).model_validate({"name": "prod"})
        absent = [name for name in sections.declared() if sections.absent(inventory, name)]
        assert len(absent) > 50
        assert [name for name in absent if not sections.missing(inventory, name)] == []


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"name": "prod"}, frozenset()),
        ({"name": "prod", "dns": {}, "load": None}, {"dns", "load"}),
        ({"name": "prod", "database": {"primary": "db1", "indexes": {}}}, {"structure"}),
        ({"name": "prod", "database": "db1"}, frozenset()),
        ({"name": "prod", "bakcup": {}}, None),
        ({"name": "prod", "schedule": {}}, None),  # an old key of the inventory itself
        ({"name": "prod", "database": {"indices": {}}}, None),
        ({"name": "prod", 3: {}}, None),
    ],
)
def test_a_file_selects_the_subjects_that_it_has_keys_of(document: dict, expected: object) -> None:
    assert index.subjects(document, OWN) == expected


def test_a_subject_that_is_left_out_has_its_defaults() -> None:
    dns = next(keys_of("dns", InventoryKeys))
    inventory = composed(frozenset({"load"})).model_validate({"name": "prod"})
    assert not isinstance(inventory, dns)
    assert inventory.of(dns) == dns()
    assert "dns" not in type(inventory).model_fields
    assert inventory.dns is None
    assert not hasattr(inventory, "no_such_key")
    with pytest.raises(TypeError, match="is not part of Inventory"):
        inventory.of(Inventory)


@pytest.mark.parametrize("subject", checks.subjects())
def test_every_key_of_a_subject_can_be_left_out(subject: str) -> None:
    for kind in (InventoryKeys, DatabaseKeys):
        for keys in keys_of(subject, kind):
            keys()
