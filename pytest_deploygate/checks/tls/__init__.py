"""Certificates, protocols, ciphers and security headers of every TLS port are as expected."""

__all__ = ["judge", "section"]
