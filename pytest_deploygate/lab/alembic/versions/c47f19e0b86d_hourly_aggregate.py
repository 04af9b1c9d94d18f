"""Readings by the hour, refreshed by a scheduled job that records when it ran."""

from __future__ import annotations

from alembic import op

revision = "c47f19e0b86d"
down_revision = "8d3a6f20c975"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE platform.readings_hourly (
    sensor_id integer NOT NULL CONSTRAINT readings_hourly_sensor_id_fkey REFERENCES platform.sensors (id),
    bucket timestamptz NOT NULL,
    n bigint NOT NULL CONSTRAINT readings_hourly_n_check CHECK (n > 0),
    avg double precision NOT NULL,
    min double precision NOT NULL,
    max double precision NOT NULL,
    CONSTRAINT readings_hourly_pkey PRIMARY KEY (sensor_id, bucket),
    CONSTRAINT readings_hourly_min_max_check CHECK (min <= max)
);
CREATE INDEX readings_hourly_bucket_idx ON platform.readings_hourly (bucket);
CREATE TABLE platform.aggregate_refreshes (
    aggregate text NOT NULL CONSTRAINT aggregate_refreshes_pkey PRIMARY KEY,
    refreshed_at timestamptz NOT NULL
);
GRANT SELECT ON platform.readings_hourly, platform.aggregate_refreshes TO platform_app;

CREATE FUNCTION platform.refresh_readings_hourly(since timestamptz DEFAULT now() - interval '2 hours')
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
AS $$
DECLARE
    written bigint;
BEGIN
    INSERT INTO platform.readings_hourly (sensor_id, bucket, n, avg, min, max)
    SELECT sensor_id, date_trunc('hour', recorded_at), count(*), avg(value), min(value), max(value)
    FROM platform.readings
    WHERE recorded_at >= date_trunc('hour', since)
    GROUP BY 1, 2
    ON CONFLICT (sensor_id, bucket) DO UPDATE
        SET n = EXCLUDED.n, avg = EXCLUDED.avg, min = EXCLUDED.min, max = EXCLUDED.max;
    GET DIAGNOSTICS written = ROW_COUNT;
    INSERT INTO platform.aggregate_refreshes (aggregate, refreshed_at)
    VALUES ('platform.readings_hourly', clock_timestamp())
    ON CONFLICT (aggregate) DO UPDATE SET refreshed_at = EXCLUDED.refreshed_at;
    RETURN written;
END
$$;
REVOKE ALL ON FUNCTION platform.refresh_readings_hourly(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION platform.refresh_readings_hourly(timestamptz) TO platform_jobs;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute("DROP FUNCTION platform.refresh_readings_hourly(timestamptz)")
    op.execute("DROP TABLE platform.aggregate_refreshes, platform.readings_hourly")
