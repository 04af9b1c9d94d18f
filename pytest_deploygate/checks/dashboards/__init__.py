"""Dashboards: each opens in a real browser and shows data that are fresh, right, and there in time."""

__all__ = ["judge", "probe"]
