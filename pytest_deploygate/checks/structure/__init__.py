"""The expected structure: tables, indexes, partitions, and plans that use them."""

__all__ = ["judge", "probe"]
