"""Secrets: none lies open on the hosts, keys are protected, and databases let nobody in without a proper password."""

__all__ = ["judge", "probe"]
