"""Notices: what was sent for this change reached everybody, as it would be written now."""

__all__ = ["judge", "probe"]
