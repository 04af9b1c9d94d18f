"""Readings, partitioned by day, with a default partition that should stay empty."""

from __future__ import annotations

from alembic import op

revision = "5b9e7c1d2a48"
down_revision = "1f0c2a7d4b31"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE platform.readings (
    sensor_id integer NOT NULL CONSTRAINT readings_sensor_id_fkey REFERENCES platform.sensors (id),
    recorded_at timestamptz NOT NULL,
    value double precision NOT NULL
        CONSTRAINT readings_value_check CHECK (value > '-Infinity' AND value < 'Infinity'),
    quality smallint NOT NULL DEFAULT 0 CONSTRAINT readings_quality_check CHECK (quality BETWEEN 0 AND 3),
    CONSTRAINT readings_pkey PRIMARY KEY (sensor_id, recorded_at)
) PARTITION BY RANGE (recorded_at);
CREATE INDEX readings_recorded_at_idx ON platform.readings (recorded_at);
CREATE TABLE platform.readings_default PARTITION OF platform.readings DEFAULT;
GRANT SELECT, INSERT ON platform.readings, platform.readings_default TO platform_app;

CREATE FUNCTION platform.ensure_partitions(days_back integer DEFAULT 0, days_ahead integer DEFAULT 10)
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
AS $$
DECLARE
    day date;
    name text;
    made integer := 0;
BEGIN
    FOR day IN SELECT current_date + n FROM generate_series(-days_back, days_ahead) AS n LOOP
        name := 'readings_' || to_char(day, 'YYYYMMDD');
        CONTINUE WHEN to_regclass('platform.' || name) IS NOT NULL;
        EXECUTE format(
            'CREATE TABLE platform.%I PARTITION OF platform.readings FOR VALUES FROM (%L) TO (%L)',
            name, day::timestamptz, (day + 1)::timestamptz
        );
        EXECUTE format('GRANT SELECT, INSERT ON platform.%I TO platform_app', name);
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$;
REVOKE ALL ON FUNCTION platform.ensure_partitions(integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION platform.ensure_partitions(integer, integer) TO platform_jobs;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute("DROP FUNCTION platform.ensure_partitions(integer, integer)")
    op.execute("DROP TABLE platform.readings")
