"""TimescaleDB as its own views (`timescaledb_information`) show it: hypertables, policies, continuous aggregates."""

import re
from collections.abc import Iterator

from pytest_deploygate.discovery.postgres.asking import Rows, Server, duration, some
from pytest_deploygate.fields.names import written

_INFORMATION = "timescaledb_information"
_DIMENSIONS = """
SELECT hypertable_schema::text, hypertable_name::text, column_name::text, dimension_type,
  extract(epoch FROM time_interval)::float8, num_partitions::int
FROM timescaledb_information.dimensions ORDER BY 1, 2, dimension_number
"""
_JOBS = """
SELECT proc_name::text, hypertable_schema::text, hypertable_name::text, scheduled,
  CASE WHEN config->>'drop_after' !~ '^[0-9]+$' THEN extract(epoch FROM (config->>'drop_after')::interval)::float8 END,
  CASE WHEN config->>'compress_after' !~ '^[0-9]+$'
    THEN extract(epoch FROM (config->>'compress_after')::interval)::float8 END
FROM timescaledb_information.jobs WHERE hypertable_name IS NOT NULL ORDER BY job_id
"""
_AGGREGATES = """
SELECT view_schema::text, view_name::text, view_definition,
  materialization_hypertable_schema::text, materialization_hypertable_name::text
FROM timescaledb_information.continuous_aggregates ORDER BY 1, 2
"""
_BUCKET = re.compile(r"time_bucket\('(?P<width>[^']+)'::interval, [^)]*\) AS (?P<name>\w+)")
_GROUPED = re.compile(r"GROUP BY (?P<by>.+?);?\s*$", re.DOTALL)
_KEY = re.compile(r"(?:\w+\.)?(?P<column>\w+)")
_SECONDS = "SELECT extract(epoch FROM %(text)s::interval)::float8"
_NEEDS = "USAGE on the schema timescaledb_information, which every role has by default"


def look(server: Server, version: str | None) -> None:
    """Note hypertables, policies and aggregates; nothing where the extension is not installed."""
    if not version:
        return
    server.fact("timescale.version", ".".join(version.split(".")[:2]), f"pg_extension: {version}")
    _hypertables(server)
    aggregates = server.rows("continuous aggregates", _AGGREGATES, _NEEDS) or []
    # Policies of an aggregate are on the hypertable that holds its buckets.
    names = {(row[3], row[4]): written(row[0], row[1]) for row in aggregates}
    for proc, schema, table, scheduled, drop_s, compress_s in server.rows("policies", _JOBS, _NEEDS) or ():
        name = names.get((schema, table), written(schema, table))
        seen = f"{_INFORMATION}.jobs: {proc}" + ("" if scheduled else ", which is not scheduled now")
        if proc == "policy_retention" and drop_s:
            value = {"table": name, "drop_after": duration(drop_s)}
            server.fact("timescale.retention", value, seen, entry=True)
        elif proc == "policy_compression" and compress_s:
            value = {"table": name, "after": duration(compress_s)}
            server.fact("timescale.columnstore", value, seen, entry=True)
    for row in aggregates:
        _aggregate(server, written(row[0], row[1]), str(row[2]))


def _hypertables(server: Server) -> None:
    rows = server.rows("hypertables", _DIMENSIONS, _NEEDS) or []
    odd = []
    for schema, table in dict.fromkeys((row[0], row[1]) for row in rows):
        name = written(schema, table)
        mine = [row for row in rows if (row[0], row[1]) == (schema, table)]
        time = next((row for row in mine if row[3] == "Time" and row[4]), None)
        if schema.startswith("_timescaledb"):
            continue
        if time is None:
            odd.append(name)
            continue
        value = {"table": name, "column": written(time[2]), "chunk_interval": duration(time[4])}
        space = list(_space(mine))
        seen = f"{_INFORMATION}.dimensions"
        server.fact("timescale.hypertables", value | ({"space": space} if space else {}), seen, entry=True)
    if odd:
        server.remark(f"hypertables by a number instead of a time, which are not written: {some(odd)}")


def _space(rows: Rows) -> Iterator[dict[str, object]]:
    for row in rows:
        if row[3] == "Space" and row[5]:
            yield {"column": written(row[2]), "partitions": row[5]}


def _aggregate(server: Server, view: str, definition: str) -> None:
    bucket, grouped = _BUCKET.search(definition), _GROUPED.search(definition)
    keys = _keys(grouped["by"], definition) if grouped else None
    rows = (
        server.rows(f"the bucket of {view}", _SECONDS, "a plain time_bucket", {"text": bucket["width"]})
        if bucket
        else None
    )
    if not bucket or keys is None or not rows:
        server.wanted(
            "timescale.aggregates", f"{view}: {{view, bucket, width, key}}; its definition is not a plain one"
        )
        return
    value = {"view": view, "bucket": bucket["name"], "width": duration(rows[0][0])}
    server.fact(
        "timescale.aggregates",
        value | ({"key": keys} if keys else {}),
        f"{_INFORMATION}.continuous_aggregates",
        entry=True,
    )


def _keys(grouped: str, definition: str) -> list[str] | None:
    """Return the columns that are grouped by beside the bucket; None if one of them is no plain column."""
    keys = []
    for part in _apart(grouped):
        if "time_bucket(" in part:
            continue
        found = _KEY.fullmatch(part)
        if found is None or f"{part} AS " in definition:
            return None
        keys.append(found["column"])
    return keys


def _apart(text: str) -> Iterator[str]:
    """Split at commas outside of parentheses."""
    depth, part = 0, ""
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == "," and not depth:
            yield part.strip()
            part = ""
        else:
            part += character
    yield part.strip()
