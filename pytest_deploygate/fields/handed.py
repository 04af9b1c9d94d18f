"""How fixtures of a subject get at sections of the inventory, which is composed above them."""

from __future__ import annotations

from typing import Any, Protocol


class Named(Protocol):
    """The inventory as far as a subject's fixture may see it."""

    @property
    def name(self) -> str:
        """The name of the environment."""


class Sections(Protocol):
    """The sections of the run's inventory by the names that their fields give (`Given`, `Each`)."""

    def need(self, name: str) -> Any:
        """Return a section. Raises NotCovered, with the words that would add it, where it is not there."""

    def get(self, name: str) -> Any:
        """Return a section, or None where it is not there."""
