"""Response times under load, and against a baseline."""
