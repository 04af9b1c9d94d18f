"""Personal data: retention, the audit trail, and the right to erasure."""

__all__ = ["judge", "probe"]
