"""The way back: the baseline, the old side, what would be lost, and the runbook."""

__all__ = ["judge", "probe"]
