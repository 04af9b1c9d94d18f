"""Scheduled jobs: that one is scheduled, that it ran, that it succeeded."""

__all__ = ["judge", "probe"]
