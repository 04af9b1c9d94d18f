"""A rollback can be relied on before the cutover, and its cost is known after it."""

__all__ = ["judge", "probe"]
