"""Reading a run's journal line, including those of earlier versions."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from pytest_deploygate.decision import standing
from pytest_deploygate.journal import JournalError
from pytest_deploygate.model import Closing, Item, Kind, Phase, Severity, Weakening


def begin(**changed: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "run": "r1",
        "change": "CHG-1",
        "inventory": {"name": "prod", "description": "", "sha256": "0"},
        "checklist": {"sha256": "0", "phases": [], "items": [], "roles": []},
        "scope": "",
        "scope_items": [],
        "not_applicable": {},
        "policy": {"rollback_from": "golive", "decision_valid_s": 1.0},
        "waived_exit": False,
        "kept": [],
        "waivers": [],
        "weakenings": [],
        "windows": {},
        "chained": False,
    }
    return {**plain, **changed}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("uptime.window is 30 s", Weakening("uptime.window is 30 s")),
        ({"text": "a", "items": ["crit.uptime"]}, Weakening("a", ("crit.uptime",))),
        ({"text": "a", "items": []}, Weakening("a")),
    ],
)
def test_a_weakening_is_read_with_its_items_or_as_earlier_versions_wrote_it(written, read) -> None:
    assert standing.frame(begin(weakenings=[written])).weakenings == (read,)


@pytest.mark.parametrize("scope", [(), ("x.y",)])
def test_a_weakening_of_an_earlier_version_counts_for_every_scope(scope) -> None:
    (weakening,) = standing.frame(begin(weakenings=["uptime.window is 30 s"])).weakenings
    assert weakening.bears_on(scope)


@pytest.mark.parametrize("written", [{"text": "a"}, {"items": []}, 7])
def test_a_weakening_that_cannot_be_read_is_an_error(written) -> None:
    with pytest.raises(JournalError, match="cannot be read by this version"):
        standing.frame(begin(weakenings=[written]))


@pytest.mark.parametrize("closing", [None, *Closing])
def test_items_and_phases_are_read_as_they_were_written(closing) -> None:
    item = Item("a.issues", "Issues", "a", Severity.MINOR, Kind.HYBRID, closing=closing)
    phase = Phase("a", "A", read_only=True, whole_change=True)
    written = {"phases": [dataclasses.asdict(phase)], "items": [dataclasses.asdict(item)], "roles": []}
    read = standing.frame(begin(checklist={"sha256": "0", **json.loads(json.dumps(written))}))
    assert (read.items, read.phases) == ((item,), (phase,))
    assert read.items[0].closing is closing
