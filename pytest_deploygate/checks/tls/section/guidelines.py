"""Published rules that ship as data: Mozilla's TLS profiles and the scores of its HTTP Observatory.

Each data file names its source, version and licence; findings repeat profile, version and date.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from pytest_deploygate.lazy import dataclass

ProfileName = Literal["modern", "intermediate", "old"]


@dataclass(frozen=True)
class Profile:
    """One profile of Mozilla's Server Side TLS guidelines. Suites have OpenSSL's names, key sizes are in bits."""

    name: str
    version: str
    dated: date
    protocols: tuple[str, ...]
    suites: frozenset[str]
    groups: tuple[str, ...]
    rsa_bits: int | None
    dh_bits: int | None
    ecdh_bits: int
    hsts_age_s: int
    certificate_types: tuple[str, ...]
    longest_lifetime_d: int

    @property
    def title(self) -> str:
        """Its name in findings."""
        return f"Mozilla {self.name} {self.version} ({self.dated})"


@dataclass(frozen=True)
class Scores:
    """The Observatory's modifiers by result, from 100, and its grades, best first."""

    version: str
    modifiers: Mapping[str, int]
    grades: tuple[tuple[int, str], ...]
    extra_credit_from: int


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((files(__package__) / "data" / name).read_text())
    return found


@cache
def profile(name: str) -> Profile:
    """Return a profile by name. Raises KeyError for another name than `modern`, `intermediate`, `old`."""
    found = _read("mozilla_tls.json")["profiles"][name]
    return Profile(
        name=name,
        version=found["version"],
        dated=date.fromisoformat(found["date"]),
        protocols=tuple(version if "." in version else f"{version}.0" for version in found["tls_versions"]),
        suites=frozenset((*found["ciphers"], *found["ciphersuites"])),
        groups=tuple(found["tls_curves"]),
        rsa_bits=found["rsa_key_size"],
        dh_bits=found["dh_param_size"],
        ecdh_bits=found["ecdh_param_size"],
        hsts_age_s=found["hsts_min_age"],
        certificate_types=tuple(found["certificate_types"]),
        longest_lifetime_d=found["maximum_certificate_lifespan_days"],
    )


@cache
def scores() -> Scores:
    """Return the Observatory's scores."""
    found = _read("observatory.json")
    grades = tuple((int(least), str(grade)) for least, grade in found["grades"])
    return Scores(found["version"], found["modifiers"], grades, found["extra_credit_from"])
