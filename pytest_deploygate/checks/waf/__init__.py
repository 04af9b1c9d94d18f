"""The web application firewall: attacks are blocked as its rule set may be expected to, users are not, origins are closed."""

__all__ = ["judge", "probe"]
