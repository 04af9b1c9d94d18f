-- The platform's telemetry: a hypertable with retention, columnstore and an hourly continuous aggregate.
-- Readings end six hours ago, at a full hour: the aggregate is up to date, and a fault can let newer ones come in.
CREATE SCHEMA telemetry;
CREATE TABLE telemetry.readings (
    recorded_at timestamptz NOT NULL,
    sensor_id int NOT NULL,
    value float8 NOT NULL
);
SELECT create_hypertable('telemetry.readings', 'recorded_at', chunk_time_interval => interval '1 day');
CREATE INDEX ON telemetry.readings (sensor_id, recorded_at DESC);
INSERT INTO telemetry.readings
    SELECT at, sensor, 50 + 10 * sin(extract(epoch FROM at) / 3600 + sensor) + 0.1 * sensor
    FROM generate_series(date_trunc('hour', now()) - interval '12 days', date_trunc('hour', now()) - interval '6 hours',
        interval '15 minutes') AS at, generate_series(1, 12) AS sensor;
CREATE MATERIALIZED VIEW telemetry.readings_hourly WITH (timescaledb.continuous) AS
    SELECT time_bucket('1 hour', recorded_at) AS bucket, sensor_id, count(*) AS n, avg(value) AS avg, min(value) AS min,
        max(value) AS max
    FROM telemetry.readings GROUP BY 1, 2 WITH NO DATA;
CALL refresh_continuous_aggregate('telemetry.readings_hourly', NULL, NULL);
ALTER TABLE telemetry.readings SET (timescaledb.compress, timescaledb.compress_segmentby = 'sensor_id',
    timescaledb.compress_orderby = 'recorded_at DESC');
SELECT compress_chunk(c) FROM show_chunks('telemetry.readings', older_than => interval '7 days') AS c;
SELECT add_retention_policy('telemetry.readings', drop_after => interval '14 days',
    schedule_interval => interval '1 hour');
SELECT add_compression_policy('telemetry.readings', compress_after => interval '7 days',
    schedule_interval => interval '1 hour');
SELECT add_continuous_aggregate_policy('telemetry.readings_hourly', start_offset => interval '3 days',
    end_offset => interval '1 hour', schedule_interval => interval '10 minutes');
