"""Scheduled jobs are enabled, ran when due, and succeeded."""

__all__ = ["judge", "probe"]
