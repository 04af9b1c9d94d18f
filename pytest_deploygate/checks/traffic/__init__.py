"""Requests arrive at the new system, and no more at the old one."""

__all__ = ["judge", "probe"]
