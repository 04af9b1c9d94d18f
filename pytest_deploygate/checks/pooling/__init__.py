"""Connection poolers: their arithmetic, their queues, and a test under pressure."""

__all__ = ["judge", "probe"]
