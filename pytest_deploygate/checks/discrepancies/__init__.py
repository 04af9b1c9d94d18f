"""Every class of differences that a comparison found has an owner and a decision."""

__all__ = ["judge", "probe"]
