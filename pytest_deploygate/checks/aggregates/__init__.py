"""Aggregates that must equal a recomputation from their raw rows."""

__all__ = ["judge", "probe"]
