"""Response times under load, and against a baseline."""

__all__ = ["judge", "probe"]
