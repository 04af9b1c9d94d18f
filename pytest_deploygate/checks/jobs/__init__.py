"""Scheduled jobs are enabled, ran when they should have run, and succeeded."""

__all__ = ["judge", "probe"]
