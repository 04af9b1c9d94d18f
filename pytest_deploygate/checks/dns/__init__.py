"""The zone and its names are served as expected, fail over, and are switched at go-live."""

__all__ = ["judge", "probe"]
