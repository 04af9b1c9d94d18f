"""verdicts.json: the keys that other programs rely on."""

from __future__ import annotations

import dataclasses
import json

import pytest
import sample

from pytest_deploygate.model import Reading
from pytest_deploygate.report import verdicts

ITEM_KEYS = [
    "id",
    "phase",
    "verdict",
    "severity",
    "reason",
    "measurements",
    "targets",
    "in_scope",
    "text",
    "kind",
]


def test_one_entry_an_item_in_the_order_of_the_checklist() -> None:
    built = verdicts.build(sample.hold())
    assert [i["id"] for i in built["items"]] == [i.id for i in sample.items()]
    assert len(built["items"]) == 116
    for item in built["items"]:
        assert list(item)[: len(ITEM_KEYS)] == ITEM_KEYS


def test_the_decision() -> None:
    decision = verdicts.build(sample.hold())["decision"]
    assert list(decision) == ["outcome", "scope", "exit_code", "rules", "at", "counts"]
    assert (decision["outcome"], decision["exit_code"], decision["scope"]) == ("HOLD", 1, "phase2")
    assert decision["at"] == "2026-03-14T14:03:55Z"
    assert decision["counts"]["fail"] == 2
    assert decision["rules"][0]["items"] == ["phase2.replication", "phase2.aggregates"]


def test_no_decision_has_the_same_keys() -> None:
    record = sample.hold()
    without = verdicts.build(dataclasses.replace(record, decision=None))["decision"]
    assert list(without) == list(verdicts.build(record)["decision"])
    assert without["outcome"] is None
    assert without["exit_code"] is None


def test_worst_target_counts_and_all_are_listed() -> None:
    items = {i["id"]: i for i in verdicts.build(sample.hold())["items"]}
    replication = items["phase2.replication"]
    assert replication["verdict"] == "fail"
    assert [t["target"] for t in replication["targets"]] == ["replica2", "replica1"]
    assert replication["measurements"] == replication["targets"][0]["measurements"]
    assert replication["measurements"][0] == {
        "name": "lag",
        "value": 48.2,
        "unit": "MB",
        "limit": "≤ 16 MB",
        "ok": False,
    }
    assert len(replication["targets"][0]["evidence"][0]["sha256"]) == 64
    assert items["phase2.backup-jobs"]["targets"] == []
    assert items["phase2.backup-jobs"]["verdict"] == "not_covered"
    assert items["infra.servers"]["in_scope"] is False


def test_the_text_is_json_whatever_was_measured() -> None:
    record = sample.hold()
    odd = tuple(
        dataclasses.replace(
            r,
            findings=tuple(
                dataclasses.replace(
                    f, readings=(Reading("rate", float("inf")), Reading("share", float("nan")))
                )
                for f in r.findings
            ),
        )
        for r in record.items
    )
    read = json.loads(verdicts.text(dataclasses.replace(record, items=odd)), parse_constant=pytest.fail)
    replication = next(i for i in read["items"] if i["id"] == "phase2.replication")
    assert [m["value"] for m in replication["measurements"]] == ["inf", "nan"]


def test_all_weakenings_are_listed_and_those_that_bear_on_the_scope_named() -> None:
    built = verdicts.build(sample.hold())
    assert len(built["weakenings"]) == 3
    assert built["weakenings_in_scope"] == built["weakenings"][:1]
