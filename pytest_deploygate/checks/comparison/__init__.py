"""Every row of every migrated table is compared on both sides."""

__all__ = ["judge", "probe"]
