"""PostgreSQL: a cluster with its connections, reading at one moment, marker rows."""
