"""How commits wait, by what the servers say, and in a session of the writers' own way."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import psycopg

from pytest_deploygate.checks.data_loss.facts import Commits
from pytest_deploygate.checks.replication.probe.servers import read_server, read_standbys
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.clients.writers import Way
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact

#: Settings of roles and databases; any role may read them.
_OTHERS = """
SELECT concat_ws(' in ', 'role ' || r.rolname, 'database ' || d.datname), split_part(setting, '=', 2)
FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase,
    unnest(s.setconfig) AS setting
WHERE split_part(setting, '=', 1) = 'synchronous_commit' AND (s.setdatabase = 0 OR d.datname = current_database())
ORDER BY 1
"""


def commits(cluster: Cluster, way: Way) -> Commits:
    """Read how commits wait; what could not be read is the `problem`."""
    primary = read_server(cluster, cluster.primary)
    if not primary.answered:
        return Commits(primary.node, problem=primary.problem)
    found = Commits(
        primary.node,
        standby_names=primary.synchronous_standby_names,
        synchronous_commit=primary.synchronous_commit,
    )
    try:
        standbys = read_standbys(cluster, cluster.primary)
        others = tuple((str(whose), str(value)) for whose, value in cluster.rows(cluster.primary, _OTHERS))
        with contextlib.closing(way.open(cluster, writes=True)) as connection:
            row = connection.execute("SHOW synchronous_commit").fetchone()
    except CannotTell as unknown:
        return replace(found, problem=str(unknown))
    except psycopg.Error as error:
        return replace(found, problem=f"{way.name} answered with an error: {redact(str(error).strip())}")
    return replace(
        found,
        session=str(row[0]) if row else "",
        partners=tuple(s.application for s in standbys if s.sync_state in ("sync", "quorum")),
        others=others,
    )
