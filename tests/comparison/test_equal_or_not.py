"""What is equal and what differs, between PostgreSQL 13 and 18, under settings that are hostile to a comparison."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from pytest_deploygate.comparison import hashing, matching
from pytest_deploygate.comparison.differences import NAME

HOSTILE = """
ALTER DATABASE plant SET timezone = 'Asia/Kathmandu'; ALTER DATABASE plant SET datestyle = 'SQL, DMY';
ALTER DATABASE plant SET extra_float_digits = -10; ALTER DATABASE plant SET intervalstyle = 'iso_8601';
ALTER ROLE postgres SET bytea_output = 'escape'; ALTER ROLE postgres SET lc_monetary = 'C';
ALTER DATABASE plant SET search_path = app; ALTER DATABASE plant SET xmlbinary = 'hex';
ALTER DATABASE plant SET default_transaction_isolation = 'serializable'
"""


def written(folder: Path) -> list[tuple[str, ...]]:
    """Table, key, kind, column and both values of each line."""
    with (folder / NAME).open() as file:
        return [tuple(row.values())[:6] for row in csv.DictReader(file)]


def test_both_versions_give_the_known_checksums(sides):
    for side in sides:
        assert side.checksums(hashing.FAST) == list(hashing.KNOWN)
        assert hashing.common(side.checksums)
    assert hashing.agreed(sides[0].checksums, sides[1].checksums, encodings={"UTF8"}) == hashing.FAST


def test_of_another_encoding_or_answer_md5_is_used(sides):
    asked = sides[0].checksums, sides[1].checksums
    assert hashing.agreed(*asked, encodings={"UTF8", "LATIN1"}) == hashing.SLOW
    wrong = lambda how: [n + 1 for n in asked[1](how)]  # noqa: E731
    assert hashing.agreed(asked[0], wrong, encodings={"UTF8"}) == ""
    other = lambda how: [1] if how == hashing.FAST else asked[1](how)  # noqa: E731
    assert hashing.agreed(asked[0], other, encodings={"UTF8"}) == hashing.SLOW


def test_equal_rows_are_equal_under_hostile_settings(both, compare, tmp_path):
    for statement in HOSTILE.split(";"):
        both[0].sql(statement, "postgres")
    outcome = compare()
    assert (outcome.certain, outcome.differences, outcome.checksum) == (True, 0, hashing.FAST)
    assert {t.source: (t.source_rows, t.target_rows) for t in outcome.tables} == {
        "app.everything": (3000, 3000), "app.by_text": (6000, 6000), "app.by_two": (9000, 9000), "app.by_uuid": (12000, 12000),
        "app.no_key": (10000, 10000), "app.parted": (5000, 5000), "app.empty": (0, 0),
    }  # fmt: skip
    assert written(tmp_path) == []


#: What is changed on the target in the row with id 1000: column, expression, and what the file says of both sides.
VALUES = [
    ("f8", "'0'", "id = 1", "-0", "0"),
    ("f8", "0.1::float8 + 0.2", "id = 1002", "334", "0.30000000000000004"),
    ("f4", "f4 * 1.000001", "id = 1000", "142.85715", "142.85728"),
    ("n", "n::numeric(20,1)", "id = 11", "1.00000000000000000000", "1.0"),
    ("t", "''", "id = 3", r"\N", ""),
    ("t", "NULL", "id = 4", "", r"\N"),
    ("t", "normalize(t, NFD)", "id = 2", "caf\u00e9 2", "cafe\u0301 2"),
    ("v", "v || ' '", "id = 5", "v5", "v5 "),
    ("v", "left(v, 3)", "id = 1000", "v1000", "v10"),
    ("j", """'{"a": 2, "b": 1}'""", "id = 6", '{"b": 1,  "a": 2}', '{"a": 2, "b": 1}'),
    (
        "jb",
        "jsonb_set(jb, '{z}', '0')",
        "id = 7",
        '{"a": 1.00000000000000000000, "z": 7}',
        '{"a": 1.00000000000000000000, "z": 0}',
    ),
    ("tz", "tz + interval '1 hour'", "id = 8", "2026-03-29 00:38:00+00", "2026-03-29 01:38:00+00"),
    ("iv", "interval '24 hours'", "id = 9", "09:00:09", "24:00:00"),
    ("b", r"'\x00'", "id = 10", "\\xd3d9446802a44259755d38e6d163e820", "\\x00"),
    ("ta", "ARRAY['a', 'b', '', NULL]", "id = 12", '{"a,b","",NULL}', '{a,b,"",NULL}'),
    ("r", "int4range(13, 18, '[]')", "id = 13", "[13,18)", "[13,19)"),
    ("mood", "'bad'", "id = 14", "good", "bad"),
    ("p", "point(15, 5.0001)", "id = 15", "(15,5)", "(15,5.0001)"),
]


def test_each_changed_value_is_found_with_its_column(both, compare, tmp_path):
    for column, value, where, *_ in VALUES:
        both[1].sql(f"UPDATE app.everything SET {column} = {value} WHERE {where}")
    outcome = compare("everything")
    found = {line[1]: set() for line in written(tmp_path)}
    for _, key, kind, *said in written(tmp_path):
        assert kind == "changed"
        found[key].add(tuple(said))
    expected = {where.removeprefix("id = "): set() for _, _, where, *_ in VALUES}
    for column, _, where, *said in VALUES:
        expected[where.removeprefix("id = ")].add((column, *said))
    assert found == expected
    assert outcome.tables[0].changed == len(expected)


def test_what_only_looks_different_is_equal(both, compare):
    both[1].sql("UPDATE app.everything SET jb = '{\"z\": 7, \"a\": 1}' || jb, c = c || ' ', f8 = f8, tz = tz AT TIME ZONE 'UTC' AT TIME ZONE 'UTC'"
                " WHERE id = 7")  # fmt: skip
    both[1].sql("UPDATE app.everything SET v = v")  # rows have another order now
    assert compare("everything").differences == 0


#: What is changed on the target, and the lines that say so: kind, column, key.
ROWS = [
    (
        "by_text",
        "DELETE FROM app.by_text WHERE v = 77",
        ("missing", "", "k28dd2c7955ce926456240b2ff0100bde"),
        1,
    ),
    (
        "by_two",
        "UPDATE app.by_two SET v = v + 0.01 WHERE site = 1 AND v = 4000",
        ("changed", "v", '1,"2026-01-03 18:40:00+00"'),
        1,
    ),
    (
        "by_two",
        "INSERT INTO app.by_two VALUES (7, '2027-01-01Z', 1)",
        ("extra", "", '7,"2027-01-01 00:00:00+00"'),
        1,
    ),
    (
        "by_uuid",
        "UPDATE app.by_uuid SET v = NULL WHERE v = 'v7000'",
        ("changed", "v", "708be71b-9ab6-e0a8-4252-760579ade9f1"),
        1,
    ),
    ("no_key", "INSERT INTO app.no_key VALUES ('M1', 1)", ("extra", "", ""), 1),
    ("no_key", "DELETE FROM app.no_key WHERE ctid = '(0,2)'", ("missing", "", ""), 1),
    ("no_key", "INSERT INTO app.no_key VALUES ('new', 1), ('new', 1)", ("extra", "", ""), 2),
    ("parted", "UPDATE app.parted SET v = 0 WHERE id = 4321", ("changed", "v", "4321,2026-01-02"), 1),
    ("empty", "INSERT INTO app.empty VALUES (5)", ("extra", "", "5"), 1),
]


@pytest.mark.parametrize("scattered", [False, True], ids=["ranges", "one pass"])
def test_rows_of_every_kind_of_key(both, compare, tmp_path, monkeypatch, scattered):
    monkeypatch.setattr(matching, "_SMALL", 0)
    monkeypatch.setattr(matching, "_CORRELATED", 2.0 if scattered else 0.0)
    for _, change, *_ in ROWS:
        both[1].sql(change)
    outcome = compare()
    lines = written(tmp_path)
    assert sorted((line[0], (line[2], line[3], line[1])) for line in lines) == sorted(
        (f"app.{table}", expected) for table, _, expected, _ in ROWS
    )
    counted = Counter()
    for table, _, _, rows in ROWS:
        counted[f"app.{table}"] += rows
    assert {t.source: t.differences for t in outcome.tables if t.differences} == counted
    assert outcome.certain
    ways = {t.source: t.how for t in outcome.tables}
    assert (ways["app.by_uuid"], ways["app.no_key"]) == ("one pass" if scattered else "ranges", "one pass")


def test_swapped_values_and_equal_sums_do_not_cancel(both, compare, tmp_path):
    both[1].sql("UPDATE app.by_two SET v = CASE v WHEN 10 THEN 20 ELSE 10 END WHERE v IN (10, 20)")
    assert compare("by_two").tables[0].columns == (("v", 2),)


def test_a_row_that_is_there_twice_under_its_key(both, compare, tmp_path):
    """A target whose key was not made yet has a row twice: XOR of checksums would not see two of them."""
    both[1].sql("ALTER TABLE app.by_text DROP CONSTRAINT by_text_pkey")
    both[1].sql(
        "INSERT INTO app.by_text SELECT * FROM app.by_text WHERE v = 5; INSERT INTO app.by_text SELECT DISTINCT * FROM app.by_text WHERE v = 5"
    )
    outcome = compare("by_text")
    assert (outcome.differences, outcome.tables[0].extra) == (2, 2)
    assert [line[2] for line in written(tmp_path)] == ["extra"]


def test_sensitive_values_are_digests(both, compare, tmp_path):
    both[1].sql("UPDATE app.by_two SET v = 1 WHERE v = 40; DELETE FROM app.by_two WHERE v = 41")
    compare("by_two", wanted={"sensitive": ("v",)})
    changed, missing = written(tmp_path)
    assert [value.startswith("digest:") for value in changed[4:]] == [True, True]
    assert changed[4] != changed[5]
    assert '"v": "digest:' in missing[4]
    assert "41.00" not in (tmp_path / NAME).read_text()


def test_values_that_are_sent_in_another_way_are_equal(both, compare, tmp_path):
    """A number of another width, a domain instead of its type, a NaN of other bits, a text of another limit."""
    both[0].sql("CREATE DOMAIN app.name AS text; CREATE DOMAIN app.rate AS numeric(6,2);"
                " CREATE TABLE app.odd (id smallint PRIMARY KEY, n int, t app.name, r app.rate, f float8, g real, v varchar(9), c char(4))")  # fmt: skip
    both[0].sql(
        "INSERT INTO app.odd VALUES (1, -7, 'x', 1.5, 'inf'::float8 - 'inf', 'inf'::real - 'inf', 'v', 'c');"
        " INSERT INTO app.odd VALUES (2)"
    )
    both[1].sql("CREATE TABLE app.odd (id bigint PRIMARY KEY, n bigint, t text, r numeric(6,2), f float8, g real, v varchar(99), c char(4))")  # fmt: skip
    both[1].sql(
        "INSERT INTO app.odd VALUES (1, -7, 'x', 1.5, 'NaN', 'NaN', 'v', 'c'); INSERT INTO app.odd VALUES (2)"
    )
    assert both[0].sql("SELECT float8send(f) <> float8send('NaN') FROM app.odd WHERE id = 1") == [(True,)]
    assert (compare("odd").differences, written(tmp_path)) == (0, [])
    both[1].sql("UPDATE app.odd SET n = n + 4294967296 WHERE id = 1; UPDATE app.odd SET r = -r")
    assert compare("odd").tables[0].columns == (("n", 1), ("r", 1))
