"""What load was sent and how long its requests took, as frozen values. Times are in seconds."""

from __future__ import annotations
