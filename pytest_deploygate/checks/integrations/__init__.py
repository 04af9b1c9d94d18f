"""Integrations: each partner answers its contract to our credentials, over TLS, at the right stage, and for long enough."""

__all__ = ["judge", "probe"]
