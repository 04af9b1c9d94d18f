"""Cookies as they are set, read by hand: Python's own parser of 3.11 loses one that is `Partitioned`."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_deploygate.checks.authentication.facts import Cookie
from pytest_deploygate.checks.authentication.probe.exchange import Answer


def set_by(answer: Answer) -> dict[str, tuple[Cookie, str]]:
    """Return the cookies that an answer sets, each with its value; the last one of a name counts."""
    return {cookie.name: (cookie, value) for cookie, value in map(read, answer.every("set-cookie"))}


def read(header: str) -> tuple[Cookie, str]:
    """Return the cookie of a Set-Cookie header, and its value."""
    first, *attributes = header.split(";")
    name, _, value = first.partition("=")
    found = {
        key.strip().lower(): text.strip() for key, _, text in (each.partition("=") for each in attributes)
    }
    cookie = Cookie(
        name.strip(),
        "secure" in found,
        "httponly" in found,
        found.get("samesite", "").capitalize(),
        "partitioned" in found,
        found.get("domain", ""),
        found.get("path", ""),
    )
    return cookie, value.strip()


def header(values: Mapping[str, str]) -> dict[str, str]:
    """Return the header that sends cookies."""
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in values.items())} if values else {}
