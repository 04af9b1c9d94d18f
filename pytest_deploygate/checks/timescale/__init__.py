"""TimescaleDB: the extension, hypertables, continuous aggregates, policies and jobs."""

__all__ = ["judge"]
