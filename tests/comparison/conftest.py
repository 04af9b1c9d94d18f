from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from two_servers import Server

from pytest_deploygate.comparison import engine, matching
from pytest_deploygate.comparison.outcome import Outcome
from pytest_deploygate.comparison.sides import PostgresServer
from pytest_deploygate.comparison.spec import Table, Wanted

#: Of every kind that a migration meets; beside it are tables with a key of text, of several columns, of uuid, and with none.
TYPES = """
CREATE TYPE app.mood AS ENUM ('good', 'bad'); CREATE DOMAIN app.positive AS int CHECK (VALUE > 0);
CREATE TABLE app.everything (id bigint PRIMARY KEY, f4 real, f8 double precision, n numeric, n2 numeric(12,2), c char(8),
  v varchar(40), t text, b bytea, j json, jb jsonb, ts timestamp, tz timestamptz, d date, tm time, iv interval, u uuid, bo boolean,
  ia int[], ta text[], r int4range, tr tstzrange, mood app.mood, pos app.positive, ip inet, x xml, bits bit(4), p point, m money,
  twice bigint GENERATED ALWAYS AS (id * 2) STORED);
INSERT INTO app.everything SELECT n, n / 7.0, CASE n % 5 WHEN 0 THEN 'NaN'::float8 WHEN 1 THEN '-0'::float8 ELSE n / 3.0 END, n / 11.0, n / 100.0,
  'c' || n, 'v' || n, CASE n % 3 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE 'café ' || n END, decode(md5(n::text), 'hex'),
  '{"b": 1,  "a": 2}', jsonb_build_object('z', n, 'a', n / 7.0), '2026-03-29 02:30:00'::timestamp + n * interval '1 minute',
  '2026-03-29 00:30:00Z'::timestamptz + n * interval '1 minute', '2026-01-01'::date + n, '10:00'::time + n * interval '1 second',
  n * interval '1 hour 1 second', md5(n::text)::uuid, n % 2 = 0, ARRAY[n, NULL, 3], ARRAY['a,b', '', NULL], int4range(n, n + 5),
  tstzrange('2026-01-01Z', '2026-02-01Z'), 'good', n, ('10.0.0.' || n % 250)::inet, '<a>1</a>', B'1010', point(n, n / 3.0), n::numeric::money
  FROM generate_series(1, 3000) n;
CREATE TABLE app.by_text (code text PRIMARY KEY, v int);
INSERT INTO app.by_text SELECT 'k' || md5(n::text), n FROM generate_series(1, 6000) n;
CREATE TABLE app.by_two (site int, at timestamptz, v numeric(8,2) NOT NULL, PRIMARY KEY (site, at));
INSERT INTO app.by_two SELECT n % 3, '2026-01-01Z'::timestamptz + n * interval '1 minute', n FROM generate_series(1, 9000) n;
CREATE TABLE app.by_uuid (id uuid PRIMARY KEY, v text);
INSERT INTO app.by_uuid SELECT md5(n::text)::uuid, 'v' || n FROM generate_series(1, 12000) n;
CREATE TABLE app.no_key (machine text, v int);
INSERT INTO app.no_key SELECT 'M' || n % 50, n % 100 FROM generate_series(1, 10000) n;
CREATE TABLE app.parted (id bigint, day date NOT NULL, v int, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE app.parted_1 PARTITION OF app.parted FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE app.parted_2 PARTITION OF app.parted FOR VALUES FROM ('2026-02-01') TO ('2026-04-01');
INSERT INTO app.parted SELECT n, '2026-01-01'::date + n % 80, n FROM generate_series(1, 5000) n;
CREATE TABLE app.empty (id int PRIMARY KEY);
"""


@pytest.fixture(scope="session")
def servers() -> Iterator[tuple[Server, Server]]:
    """The source is of the oldest version, the target of the newest."""
    pair = Server("old", 13), Server("new", 18)
    try:
        for server in pair:
            server.start()
        yield pair
    finally:
        for server in pair:
            server.stop()


@pytest.fixture
def both(servers: tuple[Server, Server]) -> Iterator[tuple[Server, Server]]:
    """The same rows on both sides; a test may change them."""
    for server in servers:
        server.sql(f"DROP SCHEMA IF EXISTS app CASCADE; CREATE SCHEMA app; {TYPES}; ANALYZE")
    yield servers
    for server in servers:
        server.sql(
            "ALTER DATABASE plant RESET ALL; ALTER ROLE postgres RESET ALL; DROP ROLE IF EXISTS reader",
            "postgres",
        )


@pytest.fixture
def sides(both: tuple[Server, Server]) -> tuple[PostgresServer, PostgresServer]:
    return (
        PostgresServer(both[0].settings(), "source", 60.0),
        PostgresServer(both[1].settings(), "target", 60.0),
    )


@pytest.fixture
def tables(sides: tuple[PostgresServer, PostgresServer]) -> Callable[..., list[Table]]:
    """The tables to compare, all or by name; keywords are those of `Wanted`."""

    def found(*names: str, **how: object) -> list[Table]:
        source, target = (side.catalog().tables for side in sides)
        chosen = [("app", name) for name in names] or sorted(source)
        made = [matching.matched(Wanted(name, name, **how), source[name], target[name]) for name in chosen]
        assert not [one for one in made if isinstance(one, str)], made
        return made

    return found


@pytest.fixture
def compare(
    sides: tuple[PostgresServer, PostgresServer], tables: Callable, tmp_path: Path
) -> Callable[..., Outcome]:
    """Compare tables by name, all without one."""

    def run(*names: str, wanted: dict[str, object] | None = None, **how: object) -> Outcome:
        return engine.compare(tables(*names, **wanted or {}), *sides, tmp_path, **how)

    return run
