"""TimescaleDB: the extension, hypertables, continuous aggregates, policies and jobs."""
