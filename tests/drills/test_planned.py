"""The drills that an inventory describes, in the order in which they can be run."""

from __future__ import annotations

import pytest

from pytest_deploygate import checks
from pytest_deploygate.cli.shared import lab_drills
from pytest_deploygate.drills.planned import Drill
from pytest_deploygate.inventory.models import composed
from pytest_deploygate.model import CannotTell

SMALLEST = composed().model_validate({"name": "prod"})


def test_an_inventory_without_drills_has_none():
    assert list(lab_drills.planned(SMALLEST)) == []


def test_a_drill_comes_after_those_that_must_be_first(monkeypatch: pytest.MonkeyPatch):
    class Part:
        def __init__(self, name: str, after: str) -> None:
            self.drill = Drill(name, "database", lambda: None, after)

        def drills(self, _sections: object, environment: str, schema: str | None) -> list[Drill]:
            assert (environment, schema) == ("prod", None)
            return [self.drill]

    parts = {"a": Part("last", "c"), "b": Part("middle", ""), "c": Part("first", "b")}
    monkeypatch.setattr(checks, "subjects", lambda: sorted(parts))
    monkeypatch.setattr(checks, "part", lambda subject, _name: parts[subject])
    assert [drill.name for drill in lab_drills.planned(SMALLEST)] == ["middle", "first", "last"]


def test_what_could_not_begin_says_why(monkeypatch: pytest.MonkeyPatch):
    def refused() -> None:
        raise CannotTell("db2 does not answer")

    said: list[str] = []
    monkeypatch.setattr(
        lab_drills, "load_inventory", lambda _name, _root: type("Loaded", (), {"inventory": SMALLEST})
    )
    monkeypatch.setattr(
        lab_drills, "planned", lambda _inventory: [Drill("failover drill", "database", refused)]
    )
    lab_drills.rehearse(lambda what, _seconds: said.append(what))
    assert said == ["failover drill, on record: db2 does not answer"]
