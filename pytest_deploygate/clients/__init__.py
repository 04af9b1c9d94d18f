"""How to reach things: hosts, PostgreSQL, HTTP, TLS, and the servers that checks ask for more."""
