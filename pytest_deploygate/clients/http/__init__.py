"""HTTP: requests, bodies and health checks."""
