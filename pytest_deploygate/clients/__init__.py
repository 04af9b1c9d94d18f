"""Clients for hosts, PostgreSQL, HTTP, TLS, Prometheus, HAProxy and Redis."""
