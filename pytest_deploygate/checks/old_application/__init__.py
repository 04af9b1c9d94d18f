"""The old application on the new schema: its recorded statements prepare there, and what it inserts is complete."""

__all__ = ["judge", "probe"]
