"""Read the structure of schemas from the catalog, compare it, and write it to a snapshot file.

A structure is a tree of plain lines: relation -> aspect ("column id", "constraint x", "owner", "grant to app", ...)
-> text. Two structures are compared line by line, and a snapshot is a JSON file whose diff a reviewer can read.
Range partitions are omitted, since they come and go; the bounds of others are lines of their topmost table. Deviations
of a partition are recorded with its parent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_deploygate.checks.structure.facts import PARTITION, Relation, Surplus, differences
from pytest_deploygate.checks.structure.probe import catalog_lines
from pytest_deploygate.checks.structure.snapshot import FORMAT, Aspects, Index, Structure
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.clients.postgres.one_moment import Ask, one_moment
from pytest_deploygate.clients.remembered import once
from pytest_deploygate.files import write_whole

_INDEXES = """
SELECT n.nspname || '.' || c.relname, i.indrelid::int8, pg_get_indexdef(i.indexrelid)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.indrelid = ANY(%(oids)s::oid[]) AND NOT c.relispartition
"""
_OWN_SCHEMAS = """
SELECT DISTINCT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND n.nspname IS DISTINCT FROM %s
  AND NOT EXISTS (SELECT FROM pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1
"""


def own_schemas(cluster: Cluster) -> list[str]:
    """Return the schemas that hold the user's tables or views, not those of the system, extensions or the gate."""
    return [str(row[0]) for row in cluster.rows(cluster.primary, _OWN_SCHEMAS, (cluster.writes_schema,))]


def live(cluster: Cluster, schemas: Sequence[str]) -> Structure:
    """Return the structure of the primary, read once per session. Raises CannotTell."""
    return once(cluster, f"structure {sorted(schemas)}", lambda: read(cluster, schemas))


def read(cluster: Cluster, schemas: Sequence[str]) -> Structure:
    """Read the structure of some schemas from the primary, in one transaction. Raises CannotTell."""
    # With only pg_catalog in the path, the server qualifies every name, whatever the role's own path is.
    with one_moment(cluster, cluster.primary, search_path="pg_catalog") as ask:
        return _read(ask, sorted(set(schemas)))


def _read(ask: Ask, schemas: list[str]) -> Structure:
    major = int(ask("SHOW server_version_num")[0][0]) // 10000
    rows = sorted(ask(catalog_lines.RELATIONS, {"schemas": schemas}), key=lambda row: str(row[1]))
    names = {int(row[0]): str(row[1]) for row in rows}
    aspects = {int(row[0]): catalog_lines.relation_aspects(row) for row in rows}
    for oid, name, text in catalog_lines.lines(ask, list(names)):
        aspects[oid][name] = text
    parents = {int(row[0]): int(row[-1]) for row in rows if row[-1] in names}
    for oid, bound in ask(catalog_lines.LASTING_PARTITIONS, {"oids": list(parents)}):
        aspects[_root(int(oid), parents)][f"{PARTITION}{names[int(oid)]}"] = str(bound)
    top = [oid for oid in names if oid not in parents]
    return Structure(
        server_major=major,
        schemas=tuple(schemas),
        relations={names[oid]: aspects[oid] for oid in top},
        others=catalog_lines.others(ask, schemas, major),
        indexes=tuple(
            Index(str(name), names[table], str(definition))
            for name, table, definition in sorted(ask(_INDEXES, {"oids": top}))
        ),
        children=_deviating(names, aspects, parents),
        extensions={str(a): str(b) for a, b in sorted(ask("SELECT extname, extversion FROM pg_extension"))},
    )


def _deviating(
    names: Mapping[int, str], aspects: Mapping[int, Aspects], parents: Mapping[int, int]
) -> Mapping[str, Aspects]:
    """Return how partitions differ from their topmost table, by that table's name."""
    found: dict[str, dict[str, str]] = {}
    for oid in parents:
        root = _root(oid, parents)
        expected, owners = _inherited(aspects[root]), (aspects[root]["owner"], aspects[oid]["owner"])
        for name, text in differences(expected, _inherited(aspects[oid]) | _of_its_own(aspects[oid])):
            granted = name.startswith("grant to ")
            # Access goes through the parent, so a grant that only the parent has is no deviation.
            if granted and ("not expected" not in text or name.removeprefix("grant to ") in owners):
                continue
            found.setdefault(names[root], {})[f"partition {names[oid]}: {name}"] = text
    return found


def _root(oid: int, parents: Mapping[int, int]) -> int:
    while oid in parents:
        oid = parents[oid]
    return oid


def _inherited(aspects: Aspects) -> dict[str, str]:
    """Return what a partition must share with its parent; constraint names may differ, definitions may not."""
    kept: dict[str, str] = {}
    for name, text in aspects.items():
        kind = name.partition(" ")[0]
        if kind == "constraint":
            if text.startswith("CHECK"):
                kept[f"constraint {text}"] = text
        elif kind == "trigger":
            if "FOR EACH ROW" in text:
                kept[name] = text.rpartition(" (")[2] if text.endswith(("disabled)", "only)")) else "enabled"
        elif kind == "column":
            # Before PostgreSQL 17, a partition's column does not show that the parent's is an identity.
            kept[name] = text.partition(" GENERATED ALWAYS AS IDENTITY")[0].partition(
                " GENERATED BY DEFAULT AS IDENTITY"
            )[0]
        elif kind in ("owner", "grant", "persistence"):
            kept[name] = text
    return kept


def _of_its_own(aspects: Aspects) -> dict[str, str]:
    """Return what a partition does not inherit: its own foreign keys, row security and policies."""
    return {
        name: text
        for name, text in aspects.items()
        if text.startswith("FOREIGN KEY")
        or name == "row security"
        or name.startswith(("policy ", "enforcement "))
    }


def relation(cluster: Cluster, snapshot: Structure, name: str) -> Relation:
    """Return one relation of the live structure. Raises CannotTell."""
    now = live(cluster, snapshot.schemas)
    aspects = now.relations.get(name)
    if aspects is not None:
        aspects = snapshot.comparable(aspects)
    return Relation(name, aspects, now.children.get(name, {}), now.server_major)


def surplus(cluster: Cluster, snapshot: Structure) -> Surplus:
    """Return what exists besides the snapshot's tables, with the sequences' aspects. Raises CannotTell."""
    now = live(cluster, snapshot.schemas)
    return Surplus(
        snapshot.schemas,
        {name: snapshot.comparable(aspects) for name, aspects in now.relations.items()},
        snapshot.comparable_objects(now.others),
        now.extensions,
        now.server_major,
    )


def write_snapshot(cluster: Cluster, schemas: Sequence[str], path: Path) -> Structure:
    """Read the live structure and write it to a file for review. Raises CannotTell, OSError."""
    structure = read(cluster, schemas)
    document = {
        "format": FORMAT,
        "server_major": structure.server_major,
        "schemas": list(structure.schemas),
        "extensions": dict(structure.extensions),
        "relations": {name: dict(aspects) for name, aspects in structure.relations.items()},
        "others": {name: dict(aspects) for name, aspects in structure.others.items()},
        "indexes": {
            index.name: {"table": index.table, "definition": index.definition} for index in structure.indexes
        },
    }
    write_whole(path, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return structure
