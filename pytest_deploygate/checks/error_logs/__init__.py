"""Error logs: the errors of a night by signature, against the same hours a week before: none is new, none is more frequent."""

__all__ = ["judge", "probe"]
