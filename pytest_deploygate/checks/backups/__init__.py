"""Backups are there, WAL is archived without a gap, and the newest backup really restores."""

__all__ = ["judge", "probe"]
