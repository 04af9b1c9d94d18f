"""Aggregates that are stored beside their raw rows are fresh and equal a recomputation."""

__all__ = ["judge", "probe"]
