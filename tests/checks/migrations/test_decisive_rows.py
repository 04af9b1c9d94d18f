"""Whose rows decide what a statement does, by plans as auto_explain writes them."""

from __future__ import annotations

import json

import pytest

from pytest_deploygate.checks.migrations.probe.rehearsal.decisive import decisive
from pytest_deploygate.checks.migrations.probe.rehearsal.plans import Read, read
from pytest_deploygate.checks.migrations.probe.rehearsal.relay import Turn

SCAN = {
    "Node Type": "Seq Scan",
    "Schema": "shop",
    "Relation Name": "orders",
    "Alias": "o",
    "Output": ["o.id"],
}
HARMLESS = frozenset(("max", "setval", "count", "lower"))


def plan(text: str, *nodes: dict[str, object], kind: str = "Result", output: str = "$0") -> str:
    return json.dumps(
        {"Query Text": text, "Plan": {"Node Type": kind, "Output": [output], "Plans": list(nodes)}}
    )


@pytest.mark.parametrize(
    ("record", "found"),
    [
        (plan("SELECT  id\nFROM orders;", SCAN), Read("SELECT id FROM orders", (("shop", "orders"),), frozenset())),
        (plan("SELECT 1", SCAN, output='shop."Odd f"(o.id), lower(x)'),
         Read("SELECT 1", (("shop", "orders"),), frozenset({"Odd f", "lower"}))),
        (plan("SELECT 1", SCAN, output="CASE WHEN (a = ANY (b)) THEN 1 ELSE 2 END"), Read("SELECT 1", (("shop", "orders"),), frozenset())),
        (plan("DELETE FROM orders", SCAN, kind="ModifyTable"), None),
        (plan("SELECT 1"), None),
        (plan('SELECT 1 FROM ONLY "shop"."orders" x WHERE "id" = $1 FOR KEY SHARE OF x', SCAN), None),
        (plan('SELECT fk."c" FROM ONLY "shop"."tiny" fk LEFT OUTER JOIN ONLY "shop"."orders" pk', SCAN), None),
        ("no JSON", None),
        ("{}", None),
    ],
)  # fmt: skip
def test_what_a_plan_reads(record: str, found: Read | None) -> None:
    assert read(record) == found


@pytest.mark.parametrize(
    ("sent", "tag", "reads", "calls", "answers_decide", "decides"),
    [
        ("DO $$ … $$", "DO", "SELECT id FROM orders", (), False, True),
        ("CALL p()", "CALL", "SELECT id FROM orders", (), False, True),
        ("SELECT f()", "SELECT 1", "SELECT id FROM orders", (), False, True),
        ("SELECT id  FROM orders ;", "SELECT 0", "SELECT id FROM orders", ("lower",), False, False),
        ("SELECT own(id) FROM orders", "SELECT 0", "SELECT own(id) FROM orders", ("own",), False, True),
        ("SELECT id FROM orders", "SELECT 0", "SELECT id FROM orders", (), True, True),
        ("CREATE TABLE t AS SELECT id FROM orders", "SELECT 0", "CREATE TABLE t AS SELECT id FROM orders", (), True, False),
        ("ALTER TABLE t ADD FOREIGN KEY …", "ALTER TABLE", "SELECT id FROM orders", (), True, False),
        ("SELECT setval('s', (SELECT max(id) FROM orders))", "SELECT 1", "x", ("setval", "max"), True, False),
        ("SELECT setval('s', own(1))", "SELECT 1", "x", ("setval", "own"), True, True),
    ],
)  # fmt: skip
def test_whose_rows_decide(
    sent: str, tag: str, reads: str, calls: tuple[str, ...], answers_decide: bool, decides: bool
) -> None:
    turn = Turn(texts=[sent], tags=[tag])
    one = Read(reads, (("shop", "orders"), ("shop", "versions"), ("public", "django_site")), frozenset(calls))
    found = list(decisive(turn, [one], HARMLESS, 'shop."versions"', answers_decide))
    assert found == ([("shop", "orders")] if decides else [])
