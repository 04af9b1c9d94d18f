from __future__ import annotations

from no_secrets import no_secrets

__all__ = ["no_secrets"]  # a fixture for every test here
