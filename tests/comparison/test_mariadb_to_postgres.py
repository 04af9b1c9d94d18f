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
    assert (ways["numbered"], ways["by_text"]) == ("ranges", "ranges")
    assert {ways[name] for name in ("by_name", "by_two", "no_key")} == {"one pass"}
