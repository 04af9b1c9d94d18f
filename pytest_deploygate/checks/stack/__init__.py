"""The stack: every component runs at its version and from its image, the plan has no drift, and all of it is up and steady."""

__all__ = ["judge", "probe"]
