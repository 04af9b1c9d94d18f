"""Tables, indexes, partitions and query plans are as expected."""

__all__ = ["judge", "probe"]
