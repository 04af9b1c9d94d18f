"""Zero data loss: acknowledged writes are looked for on every node and in a restored backup, and the claim is examined."""

__all__ = ["judge", "probe"]
