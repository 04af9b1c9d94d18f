"""DNS: zones, names, failover, and the cutover."""
