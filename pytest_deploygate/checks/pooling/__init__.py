"""Connection pools fit the server, poolers work, and clients get answers under pressure."""

__all__ = ["judge", "probe"]
