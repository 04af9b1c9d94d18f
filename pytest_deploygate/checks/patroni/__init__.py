"""What Patroni reports of its cluster and what the databases themselves say agree, and a failover is possible."""

__all__ = ["judge", "probe"]
