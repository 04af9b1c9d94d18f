"""The schema is at the expected version, and pending migrations would do no harm."""

__all__ = ["judge", "probe"]
