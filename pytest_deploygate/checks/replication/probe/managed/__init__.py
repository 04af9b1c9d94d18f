"""Failover drills through the manager of a cluster: its adapters, the sampling, the journal of changes, and the drill."""
