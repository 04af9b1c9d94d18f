"""Handover: documents are there and were brought up to date, both sides came to the briefings, improvements have tickets."""

__all__ = ["judge", "probe"]
