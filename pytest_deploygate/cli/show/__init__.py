"""How commands print what they found: pictures on a terminal, tables and lines."""
