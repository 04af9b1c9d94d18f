"""The pages are looked at in a real browser, and no test leaves a secret."""

from __future__ import annotations

import sys
from pathlib import Path

from chromium import browser
from no_secrets import no_secrets

sys.path.insert(0, str(Path(__file__).parent))

__all__ = ["browser", "no_secrets"]  # fixtures
