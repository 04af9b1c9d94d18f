"""The network as it filters: what must be open is open, what must be closed is closed, and hosts listen as declared."""

__all__ = ["judge", "probe"]
