"""Names as an inventory writes them: by PostgreSQL's own rules, which PostgreSQL itself tells here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from places import server_folder
from pydantic import ValidationError
from scratch_cluster import Scratch

from pytest_deploygate.checks.aggregates.judge import judge as judge_aggregate
from pytest_deploygate.checks.aggregates.probe.aggregates import read as read_aggregate
from pytest_deploygate.checks.aggregates.section import Aggregate
from pytest_deploygate.checks.privacy.judge import judge_retention, judge_rights
from pytest_deploygate.checks.privacy.probe import retained_rows
from pytest_deploygate.checks.privacy.probe.audit_trail import audit_rights
from pytest_deploygate.checks.privacy.probe.operations import new_subject
from pytest_deploygate.checks.privacy.probe.sweep import sweep
from pytest_deploygate.checks.privacy.section import AuditTrail, Erasure, Retained
from pytest_deploygate.checks.structure.judge import (
    ExpectedIndexes,
    judge_indexes,
    judge_partitions,
    judge_plan,
)
from pytest_deploygate.checks.structure.probe import index_states, plan, read_partitions
from pytest_deploygate.checks.structure.section import IndexedQuery, Indexes, Partitioned
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.fields.names import matches, parts, written
from pytest_deploygate.model import CannotTell, Judgement, Verdict

PERSON = new_subject("fedcba9876543210")
SCHEMAS = ["App", "app", "per%cent", "with blank", 'a "quoted" one', "Größe", "select", "a.dot"]


@pytest.fixture(scope="module")
def server() -> Iterator[Scratch]:
    made = Scratch(server_folder("dgn-"))
    try:
        made.replica = lambda *_: None  # type: ignore[method-assign]
        made.create()
        made.sql("db1", "GRANT pg_read_all_data TO gate; CREATE ROLE app")
        yield made
    finally:
        made.destroy()


@pytest.fixture(scope="module", params=SCHEMAS)
def schema(server: Scratch, request: pytest.FixtureRequest) -> Iterator[str]:
    """A schema with everything in it called alike, with capital letters."""
    s = sql(request.param)
    server.sql(
        "db1",
        f"""
        CREATE SCHEMA {s}; SET timezone = 'UTC';
        CREATE TABLE {s}."Readings" ("recordedAt" timestamptz, "Mail" text) PARTITION BY RANGE ("recordedAt");
        CREATE TABLE {s}."Readings Default" PARTITION OF {s}."Readings" DEFAULT;
        DO $$ BEGIN FOR d IN -2..4 LOOP
          EXECUTE format('CREATE TABLE %I.%I PARTITION OF %I."Readings" FOR VALUES FROM (%L) TO (%L)', '{request.param.replace("%", "%%")}',
            'Day ' || d, '{request.param.replace("%", "%%")}', current_date + d, current_date + d + 1);
        END LOOP; END $$;
        INSERT INTO {s}."Readings" SELECT now() - g * interval '1 min', 'x' FROM generate_series(1, 600) g;
        INSERT INTO {s}."Readings" VALUES (now(), '{PERSON.email}');
        CREATE INDEX "Readings_At" ON {s}."Readings" ("recordedAt");
        CREATE TABLE {s}."Hourly" AS SELECT date_trunc('hour', "recordedAt") AS "Bucket", count(*) AS n FROM {s}."Readings" GROUP BY 1;
    """.replace("%%", "%"),
    )
    yield written(request.param)
    server.sql("db1", f"DROP SCHEMA {s} CASCADE")


@pytest.mark.parametrize("name", [
    "app.readings", "App.Readings", '"App"."Readings"', '"app".Readings', 'a1$."b c"', '"a.b".c', '"a""b".c', "ÄPFEL.Straße", '"%s".x', "_x.y",
    '"select".from', "table",
])  # fmt: skip
def test_a_name_is_read_as_the_server_reads_it(server: Scratch, name: str) -> None:
    assert server.sql("db1", f"SELECT parse_ident($dg${name}$dg$)")[0][0] == list(parts(name))
    assert parts(written(*parts(name))) == parts(name)


@pytest.mark.parametrize(
    "name", ["app.my table", "app.", ".x", 'app."x', "app.1x", "a-b.c", "", 'a."".b', "a.b c.d"]
)
def test_what_the_server_refuses_is_refused_with_how_to_write_it(server: Scratch, name: str) -> None:
    with pytest.raises(Exception, match="identifier"):
        server.sql("db1", f"SELECT parse_ident($dg${name}$dg$)")
    with pytest.raises(ValueError, match="put a part with blanks or signs in double quotes, in YAML '"):
        parts(name)
    with pytest.raises(ValidationError, match="in double quotes"):
        Partitioned.model_validate({"table": name, "column": "x", "interval": "1d"})


def sql(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def judged(server: Scratch, what: str, table: str, column: str, tmp_path: Path) -> Judgement:
    with closing(Cluster(server.database(replicas=None))) as cluster:
        if what == "partitioning":
            partitioned = Partitioned.model_validate({"table": table, "column": column, "interval": "1d"})
            return judge_partitions(read_partitions(cluster, partitioned), partitioned)
        if what == "audit trail":
            trail = AuditTrail.model_validate(
                {"table": table, "role": {"user": "app"}, "operation": [{"sql": "SELECT 1"}], "query": "SELECT 1"}
            )  # fmt: skip
            return judge_rights(audit_rights(cluster, trail), trail)
        (tmp_path / "crontab").write_text("* * * * * job\n")
        schedule = {"crontab": str(tmp_path / "crontab"), "command": "job"}
        status = tmp_path / "status.json"
        status.write_text(json.dumps({"finished": datetime.now(UTC).isoformat(), "exit_code": 0}))
        if what == "retention":
            retained = Retained.model_validate(
                {"table": table, "column": column, "keep": "9d", "schedule": schedule, "last_run": {"status_file": str(status)}}
            )  # fmt: skip
            return judge_retention(retained_rows(cluster, retained), retained)
        exact = '"recordedAt"'
        source = table.replace("hourly", "readings").replace("Hourly", "Readings")
        raw = sql(parts(source)[0]).replace("%", "%%") + '."Readings"'
        aggregate = Aggregate.model_validate(
            {"relation": table, "bucket": column, "width": "1h", "key": [], "source": source, "time_column": exact,
             "recompute": f"SELECT date_trunc('hour', {exact}) AS \"Bucket\", count(*) AS n FROM {raw} "
             f"WHERE {exact} >= %(start)s AND {exact} < %(end)s GROUP BY 1", "schedule": schedule}
        )  # fmt: skip
        return judge_aggregate(read_aggregate(cluster, aggregate), aggregate)


@pytest.mark.parametrize("what", ["partitioning", "audit trail", "retention", "aggregates"])
def test_a_quoted_name_is_found(server: Scratch, schema: str, what: str, tmp_path: Path) -> None:
    table, column = ("Hourly", '"Bucket"') if what == "aggregates" else ("Readings", '"recordedAt"')
    found = judged(server, what, f'{schema}."{table}"', column, tmp_path)
    assert found.verdict is Verdict.PASS, found.reason


@pytest.mark.parametrize("what", ["partitioning", "audit trail", "retention", "aggregates"])
def test_a_name_that_the_server_folds_is_answered_with_what_is_there(
    server: Scratch, schema: str, what: str, tmp_path: Path
) -> None:
    table, column = ("Hourly", '"Bucket"') if what == "aggregates" else ("Readings", '"recordedAt"')
    found = judged(server, what, f"{schema}.{table}", column, tmp_path)
    assert found.verdict is not Verdict.PASS
    assert (
        f'there is {schema}."{table}", which differs in upper and lower case: write \'{schema}.'
        in found.reason
    )


@pytest.mark.parametrize("what", ["partitioning", "retention", "aggregates"])
def test_a_column_that_the_server_folds(server: Scratch, schema: str, what: str, tmp_path: Path) -> None:
    table, column = ("Hourly", "Bucket") if what == "aggregates" else ("Readings", "recordedAt")
    try:
        reason = judged(server, what, f'{schema}."{table}"', column, tmp_path).reason
    except CannotTell as unknown:
        reason = str(unknown)
    assert f'there is "{column}", which differs in upper and lower case: write \'"{column}"\'' in reason


def test_indexes_and_plans(server: Scratch, schema: str) -> None:
    queries = (
        f'SELECT * FROM {sql(parts(schema)[0])}."Readings" WHERE "recordedAt" > now() - interval \'1 s\''
    )
    right, folded = f'{schema}."Readings_At"', f"{schema}.Readings_At"
    with closing(Cluster(server.database(replicas=None))) as cluster:
        states = index_states(cluster)
        for name, verdict, words in ((right, Verdict.PASS, ""), (folded, Verdict.FAIL, right)):
            named = Indexes.model_validate({"expected": [name]}).expected
            found = judge_indexes(states, ExpectedIndexes((), tuple(named)))
            if "." not in parts(name)[0]:
                assert (found.verdict, words in found.reason) == (verdict, True), found.reason
            query = IndexedQuery.model_validate({"name": "newest", "sql": queries, "uses": name})
            judgement = judge_plan(plan(cluster, query), query)
            assert (judgement.verdict is Verdict.FAIL) == (verdict is Verdict.FAIL), judgement.reason
            assert f"write '{right}'" in judgement.reason or verdict is Verdict.PASS


def test_an_erasure_names_places_as_an_inventory_does(server: Scratch, schema: str) -> None:
    def erasure(**more: object) -> Erasure:
        return Erasure.model_validate(
            {"role": {"user": "gate"}, "create": [{"sql": "SELECT 1"}], "erase": [{"sql": "SELECT 1"}],
             "expected": [f'{schema}."Readings"."Mail"'], "backups": [{"name": "b", "keep": "30d"}], **more}
        )  # fmt: skip

    with closing(Cluster(server.database(replicas=None))) as cluster:
        wanted = erasure()
        hits = {hit.place for hit in sweep(cluster, wanted, PERSON).hits}
        assert wanted.expected[0] in hits
        skip = [{"where": f'{schema}."Read*"', "reason": "kept by law for a while"}]
        found = sweep(cluster, erasure(skip=skip, views=[f"{schema}.Hourly"]), PERSON)
        assert wanted.expected[0] not in {hit.place for hit in found.hits}
        assert f'there is {schema}."Hourly"' in found.unread[0]


@pytest.mark.parametrize(
    ("name", "pattern", "verdict"),
    [
        ("App.Readings", "App.*", True),
        ("App.Readings", '"App"."Readings"', True),
        ('"App"."Readings"', "App.Read*", True),
        ("app.readings", "app.readings", True),
        ("app.readings", '"App".*', False),
        ("App.Readings", "app.*", False),
    ],
)
def test_patterns_match_with_quotes_and_without(name: str, pattern: str, verdict: bool) -> None:
    assert matches(name, pattern) is verdict
