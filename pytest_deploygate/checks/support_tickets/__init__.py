"""Support tickets since go-live, by severity, against the same hours before: none that blocks, and not many more."""

__all__ = ["judge", "probe"]
