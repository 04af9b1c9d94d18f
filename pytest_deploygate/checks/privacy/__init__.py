"""Personal data is removed at its age, audited operations are recorded, and a person can be erased."""

__all__ = ["judge", "probe"]
