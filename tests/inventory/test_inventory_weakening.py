"""A setting weaker than its default is reported with its entry and its path."""

from __future__ import annotations

import pytest

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


def changes(before: dict[str, object], after: dict[str, object]) -> list[str]:
    one, other = (composed().model_validate({"name": "prod", **changed}) for changed in (before, after))
    return [change.text for change in weakening.changes(one, other, "main")]


def endpoint(name: str, **more: object) -> dict[str, object]:
    return {"name": name, "host": "shop.example.com", **more}


def test_a_change_is_compared_with_the_other_inventory_and_not_with_the_default() -> None:
    assert changes({"policy": {"max_waivers": 1}}, {"policy": {"max_waivers": 3}}) == [
        "policy.max_waivers is 3, on main 1"
    ]
    assert changes({"policy": {"max_waivers": 9}}, {"policy": {"max_waivers": 7}}) == []


def test_a_setting_without_a_direction_is_listed_when_it_is_another() -> None:
    assert changes({"policy": {"records_branch": "main"}}, {}) == [
        "policy.records_branch is not set, on main main"
    ]


def test_what_is_removed_is_listed_and_what_is_added_is_not() -> None:
    database = {"name": "app", "user": "gate", "primary": "db1.example.com"}
    assert changes({"database": database}, {}) == ["database is removed"]
    assert changes({}, {"database": database}) == []
    two = {"endpoints": [endpoint("shop"), endpoint("api")]}
    assert changes(two, {"endpoints": [endpoint("shop")]}) == ["endpoints[api] is removed"]


def test_another_server_is_listed() -> None:
    found = changes(
        {"endpoints": [endpoint("shop")]}, {"endpoints": [endpoint("shop", host="other.example.com")]}
    )
    assert found == ["endpoints[shop].host is other.example.com, on main shop.example.com"]


def test_a_secret_is_never_in_the_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONE", "correct-horse")
    monkeypatch.setenv("OTHER", "battery-staple")
    database = {"name": "app", "user": "gate", "primary": "db1.example.com"}
    found = changes(
        {"database": {**database, "password": "env:ONE"}}, {"database": {**database, "password": "env:OTHER"}}
    )
    assert found
    assert "battery" not in str(found)
    assert "correct" not in str(found)
