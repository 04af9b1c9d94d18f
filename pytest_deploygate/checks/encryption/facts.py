"""What was seen of columns and volumes."""

from __future__ import annotations

from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Column:
    """A column's values that are not NULL: how many were looked at (`more`: there are others), and what they are.

    `readable` can be read without a key, `unknown` have no known form. `equal` occur more than once. With a `problem`
    nothing was read.
    """

    table: str
    column: str
    rows: int = 0
    readable: int = 0
    unknown: int = 0
    equal: int = 0
    more: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Volume:
    """What a folder is on: the source and type of its file system, and the types of the devices below (`lsblk`).

    `property` is ZFS' property `encryption`. With a `problem` nothing was read.
    """

    host: str
    path: str
    source: str = ""
    filesystem: str = ""
    devices: tuple[str, ...] = ()
    property: str = ""
    problem: str = ""


@dataclass(frozen=True)
class AtRest:
    """All that the inventory names."""

    columns: tuple[Column, ...] = ()
    volumes: tuple[Volume, ...] = ()
