"""The live page is looked at in a real browser."""

from __future__ import annotations

from chromium import browser

__all__ = ["browser"]  # a fixture
