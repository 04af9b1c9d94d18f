"""A setting weaker than its default is reported with its entry and its path."""

from __future__ import annotations

from pytest_deploygate.inventory import weakening
from pytest_deploygate.inventory.models import composed


def weaker(**changed: object) -> list[tuple[tuple[str, ...], str]]:
    inventory = composed().model_validate({"name": "prod", **changed})
    return [(one.path, one.text) for one in weakening.weaker(inventory)]


def test_nothing_that_keeps_its_default_is_weaker() -> None:
    assert weaker() == []


def test_a_weaker_setting_has_its_path_and_a_sentence_with_both_values() -> None:
    assert weaker(policy={"max_waivers": 9}) == [
        (("policy", "max_waivers"), "policy.max_waivers is 9, by default 5")
    ]


def test_a_stricter_setting_is_not_weaker() -> None:
    assert weaker(policy={"max_waivers": 1}) == []


def test_an_entry_of_a_list_is_named_in_the_sentence_and_not_in_the_path() -> None:
    retained = {
        "table": "public.readings",
        "column": "at",
        "keep": "30d",
        "slack": "9d",
        "partman": "partman",
    }
    database = {"name": "app", "user": "gate", "primary": "db1.example.com", "retention": [retained]}
    assert weaker(database=database) == [
        (
            ("database", "retention", "slack"),
            "database.retention[public.readings].slack is 9 d, by default 24 h",
        )
    ]
