"""Response times are under their limits at the declared peak load, and no worse than before."""

__all__ = ["judge", "probe"]
