"""What was migrated gives the same answers, values and history on both sides."""

__all__ = ["judge", "probe"]
