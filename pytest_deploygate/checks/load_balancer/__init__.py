"""The load balancer: every backend gets its share, has a health check that can fail, and leaves when its health turns bad."""

__all__ = ["judge", "probe"]
