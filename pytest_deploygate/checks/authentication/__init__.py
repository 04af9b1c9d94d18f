"""Authentication: what must be refused is refused, users get what is theirs, sessions begin and end, accounts lock."""

__all__ = ["judge", "probe"]
