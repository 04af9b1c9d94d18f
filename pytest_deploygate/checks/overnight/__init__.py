"""The night's series are inside their bands, and nothing of the night is missing."""

__all__ = ["judge", "probe"]
