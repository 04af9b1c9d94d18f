"""Consent: before a visitor agrees, and after a refusal, pages keep nothing and ask no third party, in a real browser."""

__all__ = ["judge", "probe"]
