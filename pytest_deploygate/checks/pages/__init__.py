"""The policy pages and the maintenance page are served as they should be."""

__all__ = ["judge", "probe"]
