"""Backups exist, WAL is archived without gaps, and the newest backup really restores."""

__all__ = ["judge", "probe"]
