"""Access logs: a request is logged at each hop, with all that is needed, without secrets, in files that are protected and rotated."""

__all__ = ["judge", "probe"]
