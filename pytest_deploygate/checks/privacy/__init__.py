"""Personal data: retention, the audit trail, and the right to erasure."""
