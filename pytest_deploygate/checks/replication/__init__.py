"""Replication: who takes writes, who follows, how far behind, and the failover drill."""

__all__ = ["judge", "probe"]
