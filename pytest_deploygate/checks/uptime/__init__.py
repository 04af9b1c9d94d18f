"""The service was up for the required share of the time in which it was watched."""

__all__ = ["judge", "probe"]
