"""Endpoints: certificates, protocols and ciphers, and security headers."""
