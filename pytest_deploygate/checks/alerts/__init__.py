"""Alerts: each route delivers to exactly its receivers, and nothing critical fires after the night."""

__all__ = ["judge", "probe"]
