"""Rows that went from MariaDB to PostgreSQL: equal ones are equal, and what differs is found."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import mariadb_rows
import pytest
from mariadb_server import MariaDbServer
from two_servers import Server

from pytest_deploygate.comparison import engine, hashing, matching
from pytest_deploygate.comparison.adapter import Server as Side
from pytest_deploygate.comparison.differences import NAME
from pytest_deploygate.comparison.outcome import Outcome
from pytest_deploygate.comparison.servers import server
from pytest_deploygate.comparison.spec import Table, Wanted
from pytest_deploygate.fields.any_server import AnyServer
from pytest_deploygate.model import CannotTell

ROWS = 2200
#: Beside `everything`: keys of text in an order that is equal on both sides and in one that is not, of two columns, of none.
OTHERS_MARIA = """
CREATE TABLE by_text (code VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin PRIMARY KEY, v INT);
INSERT INTO by_text SELECT CONCAT(IF(seq % 2, 'k', 'K'), MD5(seq)), seq FROM seq_1_to_6000;
CREATE TABLE by_name (code VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY, v INT);
INSERT INTO by_name SELECT code, v FROM by_text;
CREATE TABLE by_two (site INT, at DATETIME, v DECIMAL(8,2) NOT NULL, PRIMARY KEY (site, at));
INSERT INTO by_two SELECT seq % 3, '2026-01-01' + INTERVAL seq MINUTE, seq FROM seq_1_to_9000;
CREATE TABLE no_key (machine VARCHAR(20), v INT);
INSERT INTO no_key SELECT CONCAT(IF(seq % 2, 'M', 'm'), seq % 50), seq % 100 FROM seq_1_to_10000;
CREATE TABLE numbered (id BIGINT AUTO_INCREMENT PRIMARY KEY, v DOUBLE);
INSERT INTO numbered SELECT seq, seq / 7e0 FROM seq_1_to_12000;
CREATE TABLE empty (id INT PRIMARY KEY);
ANALYZE TABLE by_text, by_name, by_two, no_key, numbered, everything
"""
OTHERS_POSTGRES = """
CREATE TABLE app.by_text (code text PRIMARY KEY, v int);
INSERT INTO app.by_text SELECT CASE WHEN n % 2 = 1 THEN 'k' ELSE 'K' END || md5(n::text), n FROM generate_series(1, 6000) n;
CREATE TABLE app.by_name (code text PRIMARY KEY, v int); INSERT INTO app.by_name SELECT * FROM app.by_text;
CREATE TABLE app.by_two (site int, at timestamp, v numeric(8,2) NOT NULL, PRIMARY KEY (site, at));
INSERT INTO app.by_two SELECT n % 3, '2026-01-01'::timestamp + n * interval '1 minute', n FROM generate_series(1, 9000) n;
CREATE TABLE app.no_key (machine text, v int);
INSERT INTO app.no_key SELECT CASE WHEN n % 2 = 1 THEN 'M' ELSE 'm' END || n % 50, n % 100 FROM generate_series(1, 10000) n;
CREATE TABLE app.numbered (id bigint PRIMARY KEY, v float8); INSERT INTO app.numbered SELECT n, n / 7::float8 FROM generate_series(1, 12000) n;
CREATE TABLE app.empty (id int PRIMARY KEY); ANALYZE
"""
#: What would change texts, were it not pinned: of the server, of every session that begins, and of the target.
HOSTILE_MARIA = [
    "--sql-mode=ANSI_QUOTES,PIPES_AS_CONCAT,PAD_CHAR_TO_FULL_LENGTH,HIGH_NOT_PRECEDENCE",
    "--default-time-zone=+05:45",
    "--character-set-server=latin1",
    "--collation-server=latin1_german1_ci",
    "--group-concat-max-len=4",
    "--max-sort-length=64",
    "--div-precision-increment=0",
    "--init-connect=SET time_zone='-08:00', sql_mode='ANSI_QUOTES', NAMES latin1",
]
HOSTILE_POSTGRES = """
ALTER DATABASE plant SET timezone = 'Asia/Kathmandu'; ALTER DATABASE plant SET datestyle = 'SQL, DMY';
ALTER DATABASE plant SET extra_float_digits = -10; ALTER DATABASE plant SET intervalstyle = 'iso_8601';
ALTER ROLE postgres SET bytea_output = 'escape'; ALTER ROLE postgres SET lc_monetary = 'C'; ALTER ROLE postgres SET lc_numeric = 'C';
ALTER DATABASE plant SET standard_conforming_strings = off; ALTER DATABASE plant SET search_path = app
"""


@pytest.fixture(scope="module")
def maria() -> Iterator[MariaDbServer]:
    """The source, with settings that are hostile to a comparison."""
    source = MariaDbServer(*HOSTILE_MARIA)
    try:
        source.start()
        yield source
    finally:
        source.stop()


@pytest.fixture(scope="module")
def filled(maria: MariaDbServer, servers: tuple[Server, Server]) -> tuple[MariaDbServer, Server]:
    maria.sql(
        "SET sql_mode = ''; SET time_zone = '+00:00'; SET NAMES utf8mb4;"
        + mariadb_rows.maria_script(ROWS)
        + ";"
        + OTHERS_MARIA
    )
    return maria, servers[1]


@pytest.fixture
def moved(filled: tuple[MariaDbServer, Server]) -> Iterator[tuple[MariaDbServer, Server]]:
    """The same rows on both sides; a test may change those of the target."""
    target = filled[1]
    target.sql(
        f"DROP SCHEMA IF EXISTS app CASCADE; CREATE SCHEMA app; SET search_path = app; {mariadb_rows.postgres_script(ROWS)};{OTHERS_POSTGRES}"
    )
    yield filled
    target.sql("ALTER DATABASE plant RESET ALL; ALTER ROLE postgres RESET ALL", "postgres")


@pytest.fixture
def unlike(moved: tuple[MariaDbServer, Server]) -> tuple[Side, Side]:
    source = AnyServer.model_validate(moved[0].login())
    return server(source, "source", 60.0), server(moved[1].settings(), "target", 60.0)


@pytest.fixture
def paired(unlike: tuple[Side, Side]) -> Callable[..., list[Table]]:
    def found(*names: str, **how: object) -> list[Table]:
        source, target = (side.catalog().tables for side in unlike)
        chosen = names or sorted(name for _, name in target)
        made = [
            matching.matched(Wanted(("plant", n), ("app", n), **how), source["plant", n], target["app", n])
            for n in chosen
        ]
        assert not [one for one in made if isinstance(one, str)], made
        return made

    return found


@pytest.fixture
def compared(unlike: tuple[Side, Side], paired: Callable, tmp_path: Path) -> Callable[..., Outcome]:
    def run(*names: str, wanted: dict[str, object] | None = None, **how: object) -> Outcome:
        return engine.compare(paired(*names, **wanted or {}), *unlike, tmp_path, **how)

    return run


def written(folder: Path) -> list[tuple[str, ...]]:
    """Table, key, kind, column and both values of each line."""
    with (folder / NAME).open(newline="") as file:
        return [tuple(row.values())[:6] for row in csv.DictReader(file)]


def test_both_give_the_known_checksums_of_rows(unlike):
    assert all(hashing.common(side.checksums) for side in unlike)
    assert unlike[0].checksums(hashing.FAST) == unlike[0].checksums(hashing.SLOW) == []


@pytest.mark.parametrize("hostile", [False, True], ids=["plain target", "hostile target"])
def test_equal_rows_of_every_type_are_equal(moved, compared, tmp_path, hostile):
    """The source's settings are hostile each time."""
    for statement in HOSTILE_POSTGRES.split(";") if hostile else []:
        moved[1].sql(statement, "postgres")
    outcome = compared()
    assert written(tmp_path) == []
    assert (outcome.certain, outcome.differences, outcome.checksum) == (True, 0, hashing.COMMON)
    assert {t.source: (t.source_rows, t.target_rows) for t in outcome.tables} == {
        "plant.everything": (ROWS, ROWS), "plant.by_text": (6000, 6000), "plant.by_name": (6000, 6000), "plant.by_two": (9000, 9000),
        "plant.no_key": (10000, 10000), "plant.numbered": (12000, 12000), "plant.empty": (0, 0),
    }  # fmt: skip
    ways = {t.source.removeprefix("plant."): t.how for t in outcome.tables}
    assert {ways[name] for name in ("numbered", "by_text", "by_two")} == {"ranges"}
    assert {ways[name] for name in ("by_name", "no_key")} == {"one pass"}  # by_name is in another order there


def test_dates_of_zero_are_told_from_null(moved, compared, tmp_path):
    """MariaDB's zero dates have no counterpart: what became of them is said, whatever it is."""
    source, target = moved
    source.sql(
        "SET sql_mode = ''; UPDATE everything SET day = '0000-00-00', `at` = '2026-00-10' WHERE id = 50"
    )
    target.sql("UPDATE app.everything SET day = NULL WHERE id = 50")
    try:
        compared("everything")
    finally:
        day, at = mariadb_rows.rows(50)[-1][15:17]
        source.sql(f"UPDATE everything SET day = '{day}', `at` = '{at}' WHERE id = 50")
    assert [(line[3], line[4], line[5]) for line in written(tmp_path)] == [
        ("day", "0000-00-00", r"\N"), ("at", "2026-00-10 00:00:00", "2026-03-29 02:20:00.0005"),
    ]  # fmt: skip


#: A row whose double a type of single precision can hold but for its last digits.
ROUNDED = next(
    n for n, d in enumerate(mariadb_rows.doubles(ROWS), 1) if n > 910 and n % 11 and 1e-5 < abs(d) < 1e5
)
#: On the target: table, what is done, and the lines that say so: key, kind, column, both values.
PLANTED = [
    ("numbered", "DELETE FROM app.numbered WHERE id = 7001", [("7001", "missing", "")]),
    ("numbered", "INSERT INTO app.numbered VALUES (20000, 1)", [("20000", "extra", "")]),
    ("no_key", "INSERT INTO app.no_key VALUES ('M1', 1)", [("", "extra", "")]),
    ("no_key", "UPDATE app.no_key SET machine = 'M2' WHERE ctid = (SELECT min(ctid) FROM app.no_key WHERE machine = 'm2')",
     [("", "changed?", "")]),
    ("by_two", "UPDATE app.by_two SET v = CASE v WHEN 10 THEN 20 ELSE 10 END WHERE v IN (10, 20)",
     [("1,2026-01-01 00:10:00", "changed", "v"), ("2,2026-01-01 00:20:00", "changed", "v")]),
    ("by_name", "UPDATE app.by_name SET code = lower(code) WHERE v = 4", [("Ka87ff679a2f3e71d9181a67b7542122c", "missing", ""), ("ka87ff679a2f3e71d9181a67b7542122c", "extra", "")]),
    ("everything", "UPDATE app.everything SET seen = seen + interval '1 hour' WHERE id = 900", [("900", "changed", "seen")]),
    ("everything", f"UPDATE app.everything SET f8 = f8::real WHERE id = {ROUNDED}", [(str(ROUNDED), "changed", "f8")]),
    ("everything", "UPDATE app.everything SET note = left(note, 2) WHERE id = 903", [("903", "changed", "note")]),
    ("everything", "UPDATE app.everything SET old = '' WHERE id = 902", [("902", "changed", "old")]),
    ("everything", "UPDATE app.everything SET note = note || ' ' WHERE id = 904", [("904", "changed", "note")]),
    ("everything", "UPDATE app.everything SET old = normalize(old, NFC) WHERE id = 908", [("908", "changed", "old")]),
    ("everything", "UPDATE app.everything SET flag = NOT flag WHERE id = 905", [("905", "changed", "flag")]),
    ("everything", r"UPDATE app.everything SET doc = doc || '\x00' WHERE id = 906", [("906", "changed", "doc")]),
    ("everything", "UPDATE app.everything SET big = big - 1 WHERE id = 907", [("907", "changed", "big")]),
]  # fmt: skip


def test_each_planted_difference_is_found(moved, compared, tmp_path):
    """A lost, an extra and a doubled row, swapped values, another case, a shifted zone, a rounded float, a cut text and others."""
    for _, change, _ in PLANTED:
        moved[1].sql(change)
    outcome = compared()
    lines = [
        (table.removeprefix("plant."), key, kind, column)
        for table, key, kind, column, *_ in written(tmp_path)
    ]
    expected = [(table, *line) for table, _, found in PLANTED for line in found if line[1] != "changed?"]
    # A changed row of a table without a key is one that is missing and one that is extra.
    expected += [("no_key", "", "missing", ""), ("no_key", "", "extra", "")]
    assert sorted(lines) == sorted(expected)
    assert outcome.certain
    values = {
        key: (one, other) for table, key, kind, column, one, other in written(tmp_path) if column == "big"
    }
    assert values == {"907": (str(2**64 - 907), str(2**64 - 908))}


def test_ranges_and_one_pass_find_the_same(moved, compared, tmp_path, monkeypatch):
    moved[1].sql(
        "UPDATE app.by_text SET v = 0 WHERE v IN (5, 3000); DELETE FROM app.numbered WHERE id IN (1, 12000)"
    )
    ranges = compared("by_text", "numbered")
    first = written(tmp_path)
    monkeypatch.setattr(matching, "_SMALL", 0)
    monkeypatch.setattr(matching, "_CORRELATED", 2.0)
    one_pass = compared("by_text", "numbered")
    assert [t.how for t in (*ranges.tables, *one_pass.tables)] == ["ranges", "ranges", "one pass", "one pass"]
    assert sorted(first) == sorted(written(tmp_path))
    assert len(first) == 4


def test_a_row_too_long_for_the_server_is_said(moved, compared):
    """CONCAT gives NULL for what is longer than max_allowed_packet: such a row must not count as none."""
    source, target = moved
    source.sql(
        "CREATE TABLE huge (id INT PRIMARY KEY, t LONGTEXT); INSERT INTO huge VALUES (1, 'a'), (2, REPEAT('x', 300000))"
    )
    target.sql(
        "CREATE TABLE app.huge (id int PRIMARY KEY, t text); INSERT INTO app.huge VALUES (1, 'a'), (2, repeat('x', 300000))"
    )
    try:
        assert compared("huge").differences == 0
        source.sql("SET GLOBAL max_allowed_packet = 262144")
        outcome = compared("huge")
    finally:
        source.sql("SET GLOBAL max_allowed_packet = 16777216; DROP TABLE huge")
    assert not outcome.certain
    assert "longer than max_allowed_packet" in outcome.tables[0].problem


def test_columns_without_an_equal_text_are_said_and_the_others_compared(moved, unlike, compared, paired):
    source, target = moved
    source.sql("CREATE TABLE odd (id INT PRIMARY KEY, doc JSON, at DATETIME, g POINT, f FLOAT, v INT)")
    target.sql(
        "CREATE TABLE app.odd (id int PRIMARY KEY, doc jsonb, at timestamptz, g point, f float8, v int)"
    )
    try:
        source.sql("INSERT INTO odd VALUES (1, '{}', '2026-05-06', NULL, 1.5, 7)")
        target.sql("INSERT INTO app.odd VALUES (1, '{}', '2026-05-06Z', NULL, 1.5, 8)")
        (table,) = paired("odd")
        assert [column.name for column in table.columns] == ["id", "v"]
        said = "\n".join(table.unknown)
        for words in ("column doc (json here, jsonb there) is not compared: MariaDB has no function that writes JSON as jsonb",
                      "column at (datetime here, timestamp with time zone there) is not compared: say the zone",
                      "column g (point here, point there)", "column f (float here, double precision there)"):  # fmt: skip
            assert words in said
        outcome = compared(
            "odd",
            wanted={"target_sql": {"at": "at AT TIME ZONE 'UTC'"}, "source_sql": {"doc": "JSON_TYPE(doc)"}},
        )
        assert outcome.tables[0].columns == (("doc", 1), ("v", 1))
    finally:
        source.sql("DROP TABLE odd")


def test_a_role_that_does_not_see_all_tables_is_told(moved):
    source = moved[0]
    source.sql("CREATE USER IF NOT EXISTS reader@'%'; GRANT SELECT ON plant.by_two TO reader@'%'")
    login = AnyServer.model_validate(source.login(user="reader"))
    found = server(login, "source", 60.0).catalog()
    assert [name for _, name in found.tables] == ["by_two"]
    assert "may not read all tables of plant" in found.unseen
    source.sql(r"GRANT SELECT ON `pl%nt`.* TO reader@'%'")
    assert server(login, "source", 60.0).catalog().unseen == ""


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"user": "nobody", "password": "env:OLD_PASSWORD"}, "refuses the login: Access denied for user 'nobody'"),
        ({"sslmode": "require"}, "cannot be used"),
        ({"sslmode": "verify-full"}, "need `sslrootcert`"),
        ({"name": "plants"}, "plants"),
    ],
)  # fmt: skip
def test_a_source_that_cannot_be_used_is_said(filled, monkeypatch, how, words):
    monkeypatch.setenv("OLD_PASSWORD", "not-the-password")
    login = AnyServer.model_validate(filled[0].login(**how))
    with pytest.raises(CannotTell) as said:
        server(login, "source", 60.0).identity()
    assert words in str(said.value)
    assert "not-the-password" not in str(said.value)
