"""Look where probes of the gate write, for what runs that have ended left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pytest_deploygate.checks.blast_radius.facts import Trace
from pytest_deploygate.clients.host.place import Place
from pytest_deploygate.clients.postgres import markers
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell

#: A row of a run that is at work is younger; the next write load removes older ones.
_OLD_S = 3600
_ROWS = "SELECT count(*), min(written_at)::text FROM {} WHERE written_at < now() - interval '{} seconds'"
_THERE = "SELECT to_regclass(%s) IS NOT NULL"
#: Folders of restores whose guard has ended: it removes its own.
_FOLDERS = """
for root in {}/dgr-*; do
  [ -d "$root" ] || continue
  guard=$(cat "$root/guard" 2>/dev/null)
  if [ -n "$guard" ] && tr '\\0' ' ' <"/proc/$guard/cmdline" 2>/dev/null | grep -qF -- "$root"; then continue; fi
  [ -n "$(find "$root" -maxdepth 0 -mmin -0.1)" ] && [ -z "$guard" ] && continue
  echo "$root"
done
"""


def traces(cluster: Cluster | None, scratch: tuple[Place, Path] | None) -> tuple[Trace, ...]:
    """Look at the schema that the gate writes to, and at the folder of restores; only those that the inventory has.

    A place that could not be looked at is a value, too.
    """
    found = []
    if cluster is not None and cluster.writes_schema:
        found.append(_looked(f"{cluster.writes_schema}.{markers.TABLE}", lambda: _rows(cluster)))
    if scratch is not None:
        place, folder = scratch
        found.append(_looked(f"{folder} on {place.name}", lambda: _folders(place, folder)))
    return tuple(found)


def _looked(place: str, look: Callable[[], tuple[str, ...]]) -> Trace:
    try:
        return Trace(place, look())
    except CannotTell as unknown:
        return Trace(place, unseen=str(unknown))


def _rows(cluster: Cluster) -> tuple[str, ...]:
    from psycopg import sql  # noqa: PLC0415 (only with a database)

    schema = str(cluster.writes_schema)
    table = sql.Identifier(schema, markers.TABLE)
    if not cluster.value(cluster.primary, _THERE, (table.as_string(None),)):
        return ()
    query = sql.SQL(_ROWS).format(table, sql.SQL(str(_OLD_S)))
    number, oldest = cluster.rows(cluster.primary, query)[0]
    if not number:
        return ()
    return (
        f"{number} rows of a run that did not end are left, the oldest of {str(oldest)[:19]} UTC: the next write load "
        "removes them",
    )


def _folders(place: Place, folder: Path) -> tuple[str, ...]:
    done = place.run(_FOLDERS, str(folder))
    if done.code:
        raise CannotTell(f"the folder cannot be listed: {done.said}")
    return tuple(
        f"{root} of a restore that did not end is left: the next restore removes it, or `rm -r {root}`"
        for root in done.output.split()
    )
