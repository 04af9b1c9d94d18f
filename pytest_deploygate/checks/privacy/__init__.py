"""Personal data is deleted in time, audited operations are recorded, and a person can be erased."""

__all__ = ["judge", "probe"]
