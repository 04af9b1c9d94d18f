"""Replication: who takes writes, who follows, how far behind, and the failover drill."""
