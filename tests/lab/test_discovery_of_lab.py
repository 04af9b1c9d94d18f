"""What `deploygate discover` finds of the lab from a DSN alone, and how far the gate comes with it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import agreeing
import forked
import pytest

from pytest_deploygate.checks.timescale import section as timescale
from pytest_deploygate.discovery import writer
from pytest_deploygate.discovery.found import Found
from pytest_deploygate.discovery.postgres import dsn, whole
from pytest_deploygate.inventory import loader
from pytest_deploygate.inventory.models import Database
from pytest_deploygate.lab.state import Lab

ROOT = Path(__file__).parents[2]
#: Items of phase 2 for which a database does not tell what should be, and why. All others have the verdict that they have
#: with the lab's own inventory.
ONLY_PEOPLE_KNOW = {
    "phase2.indexes": ("not_covered", "which queries must use an index; the indexes themselves are checked"),
    "phase2.aggregates": (
        "not_covered",
        "a table of sums looks like any table; how it is computed is nowhere",
    ),
    "phase2.replication": ("inconclusive", "how to fail over and back; the replicas themselves are checked"),
    "phase2.backup-jobs": ("not_covered", "jobs of a crontab are on a host, not in the database"),
    "phase2.validation": ("not_covered", "which answer to which query is right"),
}
#: Targets of these items that stand for what is missing.
_MISSING = ("", "failover drill")


@pytest.fixture(scope="module")
def database(lab: Lab) -> Database:
    found = loader.load("lab", ROOT).inventory.database
    assert found
    assert lab
    return found


@pytest.fixture(scope="module")
def environment(database: Database) -> dict[str, str]:
    """A user's environment: the password, and nothing of the lab's."""
    assert database.password
    return {**os.environ, "NO_COLOR": "1", "PGPASSWORD": database.password.reveal()}


def _dsn(database: Database, *names: str) -> str:
    nodes = [node for node in database.nodes if node.name in names or not names]
    where = ",".join(f"{node.host}:{node.port}" for node in nodes)
    return f"postgresql://{database.user}@{where}/{database.name}?sslmode=disable"


@pytest.fixture(scope="module")
def discovered(
    database: Database, environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """The folder with the written inventory, and what the command said as JSON."""
    folder = tmp_path_factory.mktemp("fresh")
    scripts = ROOT / "pytest_deploygate" / "lab" / "alembic"
    done = forked.run(
        "pytest_deploygate",
        ["discover", "found", "--dsn", _dsn(database), "--memory", "4GB", "--migrations", scripts, "--json"],
        cwd=folder,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, json.loads(done.stdout)


@pytest.fixture(scope="module")
def phase2(
    environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., dict[str, Any]]:
    """Run phase 2 with an inventory; return its items by id."""

    def run(inventory: str) -> dict[str, Any]:
        out = tmp_path_factory.mktemp("out")
        arguments = ["-m", "phase2", f"--inventory={inventory}", f"--deploygate-out={out}"]
        done = forked.run("pytest", arguments, cwd=ROOT, env=environment, timeout=280)
        assert (out / "verdicts.json").is_file(), done.stdout + done.stderr
        assert "nobody has confirmed" in (out / "signoff.html").read_text() or inventory == "lab"
        items = json.loads((out / "verdicts.json").read_text())["items"]
        assert [said for item in items for said in agreeing.disagreements_of(item)] == []
        return {item["id"]: item for item in items if item["in_scope"]}

    return run


def test_phase2_has_the_verdicts_of_the_labs_own_inventory(
    discovered: tuple[Path, dict[str, Any]], phase2: Callable[..., dict[str, Any]]
) -> None:
    """Two runs of the gate, some seconds each."""
    folder, _ = discovered
    ours, theirs = phase2(str(folder / "inventories" / "found.yml")), phase2("lab")
    assert ours.keys() == theirs.keys()
    differ = {i: ours[i]["verdict"] for i in theirs if ours[i]["verdict"] != theirs[i]["verdict"]}
    assert differ == {item: verdict for item, (verdict, _) in ONLY_PEOPLE_KNOW.items()}
    for item in theirs:
        known = {target["target"]: target["verdict"] for target in theirs[item]["targets"]}
        seen = {t["target"]: t["verdict"] for t in ours[item]["targets"] if t["target"] not in _MISSING}
        assert seen == {target: known[target] for target in seen}, item
    replication = {target["target"] for target in ours["phase2.replication"]["targets"]}
    assert replication >= {"cluster", "db2", "db3", "db2 under load", "db3 under load"}


def test_it_writes_where_each_value_was_seen_and_no_password(
    discovered: tuple[Path, dict[str, Any]], database: Database
) -> None:
    folder, said = discovered
    text = (folder / "inventories" / "found.yml").read_text()
    assert "password: env:PGPASSWORD" in text
    assert database.password
    for file in folder.rglob("*"):
        assert file.is_dir() or database.password.reveal() not in file.read_text()
    assert "# pg_stat_replication: streaming, quorum, slot db2" in text
    assert "synchronous: true  # synchronous_standby_names is " in text
    values = {each["place"]: each["value"] for each in said["found"]}
    assert values["database.partitioning[platform.readings]"]["interval"] == "1d"
    assert values["database.migrations"]["version_table"] == "platform.alembic_version"
    assert values["writes.schema"] == "deploygate"
    assert said["unread"] == []
    at_once = {item["id"] for item in said["items"] if item["targets"]}
    assert at_once >= {"phase2.replication", "phase2.tables", "db.cluster", "db.partitioning"}
    assert "database.validation" in {each["place"] for each in said["wanted"]}


def test_what_is_confirmed_is_no_longer_counted(
    discovered: tuple[Path, dict[str, Any]], environment: Mapping[str, str], tmp_path: Path
) -> None:
    folder, said = discovered
    file = tmp_path / "inventories" / "found.yml"
    file.parent.mkdir()
    for each in (folder / "inventories").iterdir():
        (file.parent / each.name).write_bytes(each.read_bytes())
    before = file.read_text()

    def confirm(*arguments: str) -> dict[str, Any]:
        asked = ["confirm", "--inventory", file, "--json", *arguments]
        done = forked.run("pytest_deploygate", asked, cwd=tmp_path, env=environment)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    assert [each["place"] for each in confirm()["unconfirmed"]] == said["unconfirmed"]
    assert file.read_text() == before
    assert [e["place"] for e in confirm("database.replication")["confirmed"]] == [
        "database.replication.synchronous",
        "database.replication.slots",
    ]
    confirm("--all")
    after = file.read_text()
    assert "\ndiscovered:" not in after
    assert after == before[: before.index("discovered:")], "nothing else has changed"


def test_a_file_that_exists_is_left_alone(
    discovered: tuple[Path, dict[str, Any]], environment: Mapping[str, str], database: Database
) -> None:
    folder, _ = discovered
    asked = ["discover", "found", "--dsn", _dsn(database)]
    done = forked.run("pytest_deploygate", asked, cwd=folder, env=environment)
    assert done.returncode == 4
    assert "exists already (--force overwrites)" in done.stderr


def _look(database: Database, *names: str, monkeypatch: pytest.MonkeyPatch, **changed: Any) -> Found:
    assert database.password
    monkeypatch.setenv("PGPASSWORD", database.password.reveal())
    return whole.look(dsn.read(_dsn(database, *names)), whole.Asked(**changed))


def test_from_a_replica_alone_it_finds_the_primary(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other replica streams from the same address, so only people know its port."""
    found = _look(database, "db2", monkeypatch=monkeypatch)
    values = {fact.name: fact for fact in found.facts}
    assert values["database.primary"].value["port"] == database.primary.port
    assert not values["database.primary"].given
    assert "pg_stat_wal_receiver" in values["database.primary"].seen
    assert values["database.replicas[db2]"].given
    [unread] = [each for each in found.unread if "replica" in each.what]
    assert unread.what == "replica db3"
    assert unread.needs == "name it: --replica HOST:PORT"


def test_a_replica_that_is_named_is_found(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    others = tuple((node.host, node.port) for node in database.replicas or ())
    found = _look(database, "db1", monkeypatch=monkeypatch, replicas=others)
    assert {"database.replicas[db2]", "database.replicas[db3]"} <= {fact.name for fact in found.facts}
    assert found.unread == ()


def test_hypertables_policies_and_aggregates_of_timescaledb(
    lab: Lab, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lab has them on a server of their own; its inventory says what they should be."""
    expected = loader.load("lab", ROOT).inventory.of(timescale.Keys).timescale
    if expected is None:
        pytest.skip("this lab does without timescale")
    assert database.password
    monkeypatch.setenv("PGPASSWORD", database.password.reveal())
    told = f"host={expected.host} port={expected.port} dbname={expected.name} user={expected.user} sslmode=disable"
    found = whole.look(dsn.read(told), whole.Asked())
    mine = Found(tuple(fact for fact in found.facts if fact.place[0] in ("timescale", "database")))
    file = lab.folder / "discovered.yml"
    file.write_text(writer.text("x", mine, "w"))
    seen = loader.load(str(file), lab.folder).inventory.of(timescale.Keys).timescale
    assert seen
    assert seen.hypertables == expected.hypertables
    assert seen.retention == expected.retention
    assert expected.columnstore
    assert expected.aggregates
    assert seen.columnstore == [
        each.model_copy(update={"segmentby": None, "orderby": None}) for each in expected.columnstore
    ]
    assert [(a.view, a.bucket, a.width, a.key) for a in seen.aggregates or ()] == [
        (a.view, a.bucket, a.width, a.key) for a in expected.aggregates
    ]
    assert {"after_load.schemas": ["telemetry"]}.items() <= {
        fact.name: fact.value for fact in found.facts
    }.items()


def test_a_role_that_sees_little_is_told_what_it_needs(lab: Lab, database: Database) -> None:
    """Nothing that it could not read becomes a value."""
    text = lab.secret_file("platform_app").read_text().strip()
    node = database.primary
    told = f"host={node.host} port={node.port} dbname={database.name} user=platform_app password='{text}' sslmode=disable"
    found = whole.look(dsn.read(told), whole.Asked())
    needs = {each.what: each.needs for each in found.unread}
    assert needs["2 replicas"] == 'GRANT pg_monitor TO "platform_app";'
    places = {fact.name for fact in found.facts}
    assert not {place for place in places if place.startswith("database.replicas")}
    assert "writes.schema" not in places
