"""DNS: zones, names, failover, and the cutover."""

__all__ = ["judge", "probe"]
