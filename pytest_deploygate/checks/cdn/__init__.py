"""A CDN or cache in front of the platform: assets are served from it, whole and unchanged, and nothing private is."""

__all__ = ["judge", "probe"]
