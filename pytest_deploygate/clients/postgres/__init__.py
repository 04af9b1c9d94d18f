"""PostgreSQL: a cluster with its connections, consistent snapshots, marker rows."""
