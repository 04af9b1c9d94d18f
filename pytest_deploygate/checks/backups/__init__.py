"""Backups: the tool's repository, archiving, and restores that are really made."""

__all__ = ["judge", "probe"]
