"""How a subject's fixtures access sections of the inventory, which is composed above them."""

from __future__ import annotations

from typing import Any, Protocol


class Named(Protocol):
    """The part of the inventory that a subject's fixture may see."""

    @property
    def name(self) -> str:
        """The name of the environment."""


class Sections(Protocol):
    """The sections of the run's inventory by the names in their fields (`Given`, `Each`)."""

    def need(self, name: str) -> Any:
        """Return a section. Raises NotCovered, with the keys to add, if it is missing."""

    def get(self, name: str) -> Any:
        """Return a section, or None if it is missing."""
