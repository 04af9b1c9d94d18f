"""Live values: a value that is caused appears on the page that shows it, and no other."""

__all__ = ["judge", "probe"]
