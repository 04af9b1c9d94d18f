"""Whether two hosts belong to one site: by the registrable domain of the Public Suffix List, which the library brings along.

`shop.example.co.uk` and `www.example.co.uk` do, `a.github.io` and `b.github.io` do not. An address is a site of its own.
"""

from __future__ import annotations

import ipaddress
from functools import cache
from typing import Any

from pytest_deploygate.model import CannotTell


def same_site(one: str, other: str) -> bool:
    """Tell whether two hosts belong to one site. Raises CannotTell without the library."""
    return one == other or (_is_name(one) and _is_name(other) and _site(one) == _site(other))


def _is_name(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return bool(host)
    return False


def _site(host: str) -> str:
    return _list().privatesuffix(host) or host


@cache
def _list() -> Any:
    try:
        from publicsuffixlist import PublicSuffixList  # noqa: PLC0415 (reads a list, and an extra)
    except ImportError:
        raise CannotTell(
            "which hosts are third parties is told by the Public Suffix List, which is not installed: "
            "pip install 'pytest-deploygate[browser]'"
        ) from None
    return PublicSuffixList()
