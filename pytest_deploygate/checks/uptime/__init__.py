"""The service was up for the required part of the time in which it was watched."""

__all__ = ["judge", "probe"]
