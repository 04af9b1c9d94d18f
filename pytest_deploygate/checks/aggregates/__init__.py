"""Aggregates that are kept beside their raw rows are fresh and equal a recomputation."""

__all__ = ["judge", "probe"]
