"""TimescaleDB's hypertables, policies, continuous aggregates and jobs work as expected."""

__all__ = ["judge"]
