"""Contacts: every role can be reached, by a number that exists and a mail domain that takes mail."""

__all__ = ["judge", "probe"]
