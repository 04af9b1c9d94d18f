"""Judge whether what the inventory names is encrypted at rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_deploygate.checks.encryption.facts import AtRest, Column, Volume
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, words_for_count

if TYPE_CHECKING:
    from pytest_deploygate.checks.encryption.section import Encryption

__all__ = ["judge"]

#: File systems that encrypt what they store.
_ENCRYPTING = ("ecryptfs", "fuse.gocryptfs", "fuse.encfs", "fuse.cryfs")
_ZFS, _ZFS_OFF = "zfs", ("off", "-", "")


def judge(found: AtRest, declared: Encryption) -> Judgement:
    """Pass when no value of the columns can be read without a key, and each folder is on an encrypted volume."""
    collector = Collector(confirmed=True)  # what is stored does not change by itself
    for column in found.columns:
        _column(column, collector)
    below = {volume.path: volume.below for volume in declared.volumes}
    for each in found.volumes:
        _volume(each, below.get(each.path), collector)
    return collector.judgement(lambda: _good(found))


def _column(column: Column, collector: Collector) -> None:
    name = f"{column.table}.{column.column}"
    if column.problem:
        collector.unknown(column.problem, where=name)
        return
    if not column.rows:
        collector.unknown(
            f"{name} has no value, which proves nothing: run again after phase 4", deferred_to="phase4"
        )
        return
    of = f"{'the first ' if column.more else ''}{column.rows}"
    if column.readable:
        collector.wrong(
            f"{column.readable} of {of} values of {name} can be read without a key: encrypt them, and look for what wrote them"
        )
    if column.unknown:
        collector.unknown(
            f"{column.unknown} of {of} values of {name} have no known form: say in `form` which one they should have"
        )
    if column.equal:
        collector.note(
            f"{column.equal} values of {name} occur more than once: whoever reads the table can tell who shares a value"
        )
    collector.read(
        Reading(f"{name}: values that can be read", column.readable, limit="0", ok=not column.readable)
    )


def _volume(volume: Volume, below: str | None, collector: Collector) -> None:
    where = f"{volume.path} on {volume.host}"
    kinds = ", ".join(dict.fromkeys(volume.devices))
    encrypted: bool | None = None
    if volume.problem:
        collector.unknown(volume.problem, where=where)
        return
    if volume.filesystem == _ZFS:
        encrypted = volume.property not in _ZFS_OFF if volume.property else None
    elif volume.filesystem in _ENCRYPTING or "crypt" in volume.devices:
        encrypted = True
    elif volume.devices:
        encrypted = False
    said = f"{volume.source} ({volume.filesystem}{f'; {kinds}' if kinds else ''})"
    if encrypted is None:
        collector.unknown(f"{where} is on {said}, of which the host cannot tell whether it is encrypted")
        return
    if not encrypted and below:
        collector.note(f"{where} is encrypted by {below}, as the inventory says; no host can see that")
        return
    if not encrypted:
        collector.wrong(
            f"{where} is on {said}, and nothing there encrypts: move it to an encrypted volume, or say in `below` what "
            "encrypts it where no host can see it"
        )
    word = kinds or f"{volume.filesystem} {volume.property}".strip()
    collector.read(Reading(f"{where}: encryption", word, limit="encrypted", ok=encrypted))


def _good(found: AtRest) -> str:
    rows = sum(column.rows for column in found.columns)
    parts = []
    if found.columns:
        columns = words_for_count(len(found.columns), "column", "columns")
        parts.append(f"none of {rows} values in {columns} can be read without a key")
    if found.volumes:
        parts.append(
            f"{len(found.volumes)} folders are encrypted by their volume, or below the host as the inventory says"
        )
    return "; ".join(parts)
