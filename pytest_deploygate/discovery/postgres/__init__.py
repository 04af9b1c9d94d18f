"""What one PostgreSQL cluster says of itself, from a DSN. Read-only connections; nothing is changed."""
