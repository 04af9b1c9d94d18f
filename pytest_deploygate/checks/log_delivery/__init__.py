"""Log delivery: a message of every host arrives at the aggregator in time, once, whole, with host, time and level."""

__all__ = ["judge", "probe"]
