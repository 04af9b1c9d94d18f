"""Stored values beside those that the target computes anew."""

from __future__ import annotations

from pytest_deploygate.checks.migration.facts import Miscalculated, Recalculated
from pytest_deploygate.checks.migration.probe import places
from pytest_deploygate.checks.migration.section import Calculation, Migration
from pytest_deploygate.clients.postgres.cluster import Cluster

_EXAMPLES = 5
#: NaN equals NaN in SQL, as it should here. A difference is relative to the greater of both values.
_COMPARED = """
WITH given AS MATERIALIZED (SELECT key::text AS key, stored::float8 AS stored, computed::float8 AS computed FROM ({query}
) AS query), compared AS (
  SELECT key, stored, computed, stored IS DISTINCT FROM computed AS other,
    CASE WHEN stored = computed THEN 0
      WHEN stored IS NULL OR computed IS NULL OR stored IN ('NaN', 'Infinity', '-Infinity')
        OR computed IN ('NaN', 'Infinity', '-Infinity') THEN 'Infinity'::float8
      ELSE abs(stored - computed) / greatest(abs(stored), abs(computed)) END AS far
  FROM given
)
SELECT (SELECT count(*) FROM compared), (SELECT count(*) FROM compared WHERE other AND far > {tolerance}),
  (SELECT max(far)::float8 FROM compared WHERE other AND far > {tolerance}),
  (SELECT coalesce(json_agg(json_build_array(key, stored::text, computed::text)), '[]')
   FROM (SELECT * FROM compared WHERE other AND far > {tolerance} ORDER BY far DESC, key LIMIT {most}) AS worst)
"""


def recalculated(postgres: Cluster, migration: Migration, calculation: Calculation) -> Recalculated:
    """Compute values anew on the target and compare them with the stored ones there. Raises CannotTell."""
    query = calculation.query.strip().rstrip(";")
    tolerance = f"'{calculation.tolerance!r}'::float8"
    with places.target(postgres, migration) as ask:
        ((values, different, greatest, examples),) = ask(
            _COMPARED.format(query=query, tolerance=tolerance, most=_EXAMPLES), single=True
        )
    said = tuple(Miscalculated(str(key), stored, computed) for key, stored, computed in examples)
    return Recalculated(int(values), int(different), greatest, said)
