"""Availability over a time that was watched."""

__all__ = ["judge", "probe"]
