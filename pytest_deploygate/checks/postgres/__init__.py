"""The servers: settings, statistics, caches, validation queries, and what a load leaves behind."""

__all__ = ["judge", "probe"]
