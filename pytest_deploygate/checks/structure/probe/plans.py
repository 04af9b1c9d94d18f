"""Read which indexes the planner would use for a query; it is explained, never executed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_deploygate.checks.structure.facts import Plan
from pytest_deploygate.checks.structure.probe.indexes import index_states, topmost
from pytest_deploygate.checks.structure.section import IndexedQuery
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.clients.postgres.names import another_case
from pytest_deploygate.clients.postgres.one_moment import Ask, one_moment
from pytest_deploygate.fields.names import plain

_PAGES = """
SELECT n.nspname || '.' || c.relname,
  (pg_relation_size(c.oid) / current_setting('block_size')::int)::int8
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname || '.' || c.relname = ANY(%(names)s)
"""


def plan(cluster: Cluster, query: IndexedQuery) -> Plan:
    """Explain a query on the primary. Raises CannotTell, also for an error in its SQL."""
    parents = {state.name: state.partition_of for state in index_states(cluster).found}
    with one_moment(cluster, cluster.primary) as ask:
        used, scans = _explain(ask, query.sql, parents)
        sizes = {str(name): int(pages) for name, pages in ask(_PAGES, {"names": list(scans)})}
        possible, unavoidable = used, scans
        if scans:
            ask("SET LOCAL enable_seqscan = off")
            possible, unavoidable = _explain(ask, query.sql, parents)
    wanted = query.uses
    known = {word for name in parents for word in (name, name.partition(".")[2])}
    absent = bool(wanted) and plain(wanted or "") not in known
    near = another_case(lambda *asked: cluster.rows(cluster.primary, *asked), wanted or "") if absent else ""
    return Plan(query.name, used, sizes, possible, unavoidable, absent, near)


def _explain(
    ask: Ask, query: str, parents: Mapping[str, str | None]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the indexes and the sequentially scanned relations of a plan."""
    document = ask(f"EXPLAIN (FORMAT JSON, VERBOSE) {query}", single=True)[0][0]
    nodes = list(_nodes(document[0]["Plan"], ""))
    used = {
        topmost(f"{schema}.{node['Index Name']}", parents) for node, schema in nodes if "Index Name" in node
    }
    scans = {f"{schema}.{node['Relation Name']}" for node, schema in nodes if node["Node Type"] == "Seq Scan"}
    return tuple(sorted(used)), tuple(sorted(scans))


def _nodes(node: dict[str, Any], schema: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield nodes with their schema; a bitmap index scan takes that of the heap scan above it."""
    schema = node.get("Schema", schema)
    yield node, schema
    for inner in node.get("Plans", []):
        yield from _nodes(inner, schema)
