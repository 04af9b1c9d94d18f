"""PostgreSQL servers are configured, monitored and loaded as expected, and their caches work."""

__all__ = ["judge", "probe"]
