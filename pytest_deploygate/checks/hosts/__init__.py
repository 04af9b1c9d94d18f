"""The servers of the platform: they answer, are distinct machines, and have the resources that they need."""

__all__ = ["judge", "probe"]
