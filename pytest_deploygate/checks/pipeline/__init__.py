"""The event pipeline: what synthetic devices send comes out once, in order and in time."""

__all__ = ["judge", "probe"]
