"""The application: the expected number of replicas run the expected version and do not restart, and every service is ready."""

__all__ = ["judge", "probe"]
