"""Signatures of earlier reports of a change, kept with the results that they cover."""

from __future__ import annotations

import shutil
from pathlib import Path

from pytest_deploygate.report import results
from pytest_deploygate.signoff import folder as signed_folder


def keep_signed(folder: Path) -> None:
    """Move signatures aside with the results they cover: this run writes a new report, which nobody signed.

    Raises OSError.
    """
    signatures = folder / signed_folder.SIGNATURES
    signed = [path for path in signatures.glob("*") if path.is_file()]
    report = folder / results.REPORT
    if not signed or not report.is_file():
        return
    place = signatures / signed_folder.EARLIER / signed_folder.digest(report.read_bytes())[:12]
    place.mkdir(parents=True, exist_ok=True)
    for name in results.NAMES:
        if (folder / name).is_file():
            shutil.copy2(folder / name, place / name)
    for path in signed:
        path.replace(place / path.name)
