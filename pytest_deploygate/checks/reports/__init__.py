"""Reports: each file that the platform generates is complete, and its figures are those of the database."""

__all__ = ["judge", "probe"]
