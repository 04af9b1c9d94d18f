"""Personal data at rest: the columns and volumes that the inventory names are encrypted."""

__all__ = ["judge", "probe"]
