"""The gate itself: what its active probes sent, that a stop ends them, and that nothing of theirs is left behind."""

__all__ = ["judge", "probe"]
