"""There is one primary, replicas keep up with it, and a failover loses no acknowledged write."""

__all__ = ["judge", "probe"]
