"""Endpoints: certificates, protocols and ciphers, and security headers."""

__all__ = ["judge", "section"]
