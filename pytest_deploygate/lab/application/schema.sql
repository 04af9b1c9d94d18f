-- The platform's own schema. It is made anew when the lab starts with the profile, and when the lab is reset.
DROP SCHEMA IF EXISTS application CASCADE;
CREATE SCHEMA application AUTHORIZATION platform_owner;
SET ROLE platform_owner;
SET search_path = application;
GRANT USAGE ON SCHEMA application TO platform_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA application GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO platform_app;

CREATE TABLE tenants (
    id text PRIMARY KEY,
    name text NOT NULL,
    synthetic boolean NOT NULL DEFAULT false
);
CREATE TABLE users (
    name text PRIMARY KEY,
    tenant text NOT NULL REFERENCES tenants,
    role text NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    password_hash text NOT NULL,
    failed int NOT NULL DEFAULT 0,
    locked_until timestamptz,
    contact text  -- encrypted by the application (Fernet)
);
CREATE TABLE sessions (
    digest text PRIMARY KEY,
    user_name text NOT NULL REFERENCES users ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL DEFAULT now() + interval '8 hours'
);
CREATE TABLE refresh_tokens (
    digest text PRIMARY KEY,
    user_name text NOT NULL REFERENCES users ON DELETE CASCADE,
    expires_at timestamptz NOT NULL DEFAULT now() + interval '1 day'
);
CREATE TABLE revoked_tokens (
    id text PRIMARY KEY,
    revoked_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE devices (
    id text PRIMARY KEY,
    tenant text NOT NULL REFERENCES tenants,
    name text NOT NULL,
    unit text NOT NULL,
    high_limit double precision NOT NULL
);
CREATE TABLE readings (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL,
    device text NOT NULL REFERENCES devices,
    sent_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    value double precision NOT NULL,
    copy int NOT NULL DEFAULT 0,
    UNIQUE (id, copy)
);
CREATE INDEX ON readings (device, sent_at);
CREATE TABLE alerts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device text NOT NULL REFERENCES devices,
    value double precision NOT NULL,
    high_limit double precision NOT NULL,
    raised_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    cleared_at timestamptz,
    copy int NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX one_alert_per_device ON alerts (device, copy) WHERE cleared_at IS NULL;
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text NOT NULL REFERENCES tenants,
    item text NOT NULL,
    quantity int NOT NULL CHECK (quantity > 0),
    ordered_by text NOT NULL,
    ordered_at timestamptz NOT NULL DEFAULT now()
);
-- Work that is planned on devices. The application before this one plans it; this one shows it nowhere yet.
CREATE TABLE planned_work (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device text NOT NULL REFERENCES devices,
    planned_at timestamptz NOT NULL,
    what text NOT NULL,
    done_at timestamptz,
    priority int NOT NULL DEFAULT 3
);
-- Which scheduler ran what, on which side: the new platform ('new') or the one before it ('old').
CREATE TABLE scheduler_runs (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    side text NOT NULL CHECK (side IN ('new', 'old')),
    scheduler text NOT NULL,
    job text NOT NULL,
    ran_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON scheduler_runs (side, ran_at);

-- Store a reading; raise the alert of its device, or clear it. A reading that is there already changes nothing. There is
-- no row where `of_tenant` (null: anybody) has no such device.
CREATE FUNCTION take_reading(
    reading_id text, from_device text, at timestamptz, new_value double precision, copy_number int, alert boolean,
    of_tenant text
) RETURNS TABLE (stored boolean, tenant_id text, raised bigint, cleared bigint)
LANGUAGE plpgsql AS $$
DECLARE
    of_device application.devices;
BEGIN
    SELECT * INTO of_device FROM application.devices WHERE devices.id = from_device;
    IF NOT FOUND OR of_device.tenant <> of_tenant THEN
        RETURN;
    END IF;
    stored := false;
    tenant_id := of_device.tenant;
    INSERT INTO application.readings (id, device, sent_at, value, copy)
    VALUES (reading_id, from_device, at, new_value, copy_number) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN NEXT;
        RETURN;
    END IF;
    stored := true;
    IF alert AND new_value > of_device.high_limit THEN
        INSERT INTO application.alerts (device, value, high_limit, copy)
        VALUES (from_device, new_value, of_device.high_limit, copy_number)
        ON CONFLICT DO NOTHING RETURNING alerts.id INTO raised;
    ELSIF alert THEN
        WITH done AS (
            UPDATE application.alerts SET cleared_at = clock_timestamp()
            WHERE device = from_device AND cleared_at IS NULL RETURNING alerts.id
        ) SELECT min(done.id) INTO cleared FROM done;
    END IF;
    RETURN NEXT;
END $$;

INSERT INTO tenants (id, name, synthetic) VALUES
    ('plant', 'Example Plant', false),
    ('synthetic-a', 'Synthetic tenant A', true),
    ('synthetic-b', 'Synthetic tenant B', true);
INSERT INTO devices (id, tenant, name, unit, high_limit) VALUES
    ('press-1', 'plant', 'Press 1', 'bar', 90),
    ('furnace-1', 'plant', 'Furnace 1', '°C', 950),
    ('lathe-1', 'plant', 'Lathe 1', 'mm/s', 12);
INSERT INTO devices (id, tenant, name, unit, high_limit)
SELECT format('synthetic-%s-%s', t, n), 'synthetic-' || t, format('Synthetic device %s %s', upper(t), n), 'bar', 100
FROM unnest(ARRAY['a', 'b']) AS t, generate_series(1, 10) AS n;
INSERT INTO readings (id, device, sent_at, received_at, value)
SELECT format('past-%s-%s', d.id, n), d.id, at, at + interval '40 milliseconds',
    round((d.high_limit * (0.55 + 0.1 * sin(n / 90.0) + 0.02 * sin(n * 1.7)))::numeric, 2)
FROM devices d, generate_series(1, 2 * 1440) AS n, LATERAL (SELECT now() - n * interval '1 minute' AS at) AS times
WHERE d.tenant = 'plant';
INSERT INTO orders (tenant, item, quantity, ordered_by, ordered_at)
SELECT t.id, (ARRAY['Bearing', 'Seal kit', 'Hydraulic oil'])[1 + n % 3], 1 + n, t.buyer, now() - n * interval '1 day'
FROM (VALUES ('plant', 'operator'), ('synthetic-a', 'synthetic-a'), ('synthetic-b', 'synthetic-b')) AS t (id, buyer),
    generate_series(1, 3) AS n;
-- The old side's scheduler ran until the cutover.
INSERT INTO scheduler_runs (side, scheduler, job, ran_at)
SELECT 'old', 'scheduler-old', 'end-sessions', now() - n * interval '1 day' FROM generate_series(2, 4) AS n;
INSERT INTO planned_work (device, planned_at, what) VALUES ('press-1', now() + interval '2 days', 'Change the seals');
INSERT INTO alerts (device, value, high_limit, raised_at, cleared_at)
SELECT 'press-1', 93, 90, now() - interval '30 hours', now() - interval '29 hours 50 minutes';
ANALYZE readings, devices, orders, alerts, tenants;
RESET ROLE;
