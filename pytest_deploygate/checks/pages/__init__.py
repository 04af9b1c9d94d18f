"""The policy pages and the maintenance page are served as expected."""

__all__ = ["judge", "probe"]
