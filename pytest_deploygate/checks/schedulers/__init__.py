"""Schedulers and consumers of both sides: each runs on one side only, on the side that must run it."""

__all__ = ["judge", "probe"]
