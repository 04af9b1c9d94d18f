"""Alerts of the platform itself: a reading over its limit raises one, on time and on the page, and no other."""

__all__ = ["judge", "probe"]
