"""HTTP: bodies as they were sent, and health checks."""
