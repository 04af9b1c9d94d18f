"""Users' journeys in a real browser: logins, workflows, and what of them was broken or slow."""

__all__ = ["judge", "probe"]
