"""Policy pages and the maintenance page."""

__all__ = ["judge", "probe"]
