"""Third-party readers and schemas that only npm has, installed once into the virtual environment. No tests here."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

#: Name and version; licences MIT, Apache-2.0 and MIT. None of their code is in this repository.
PACKAGES = ("ctrf@0.3.0", "inspecjs@2.12.6", "@microsoft/jest-sarif@1.0.0-beta.0")
FOLDER = Path(sys.prefix) / "npm-readers"


def folder() -> Path:
    """Return node_modules with all packages; skips, with the reason, if npm is missing or cannot install."""
    stamp = FOLDER / "installed"
    if stamp.is_file() and stamp.read_text() == " ".join(PACKAGES):
        return FOLDER / "node_modules"
    if shutil.which("npm") is None:
        pytest.skip(
            "npm is not there: exports are not read by CTRF's, SARIF's and Heimdall's own schemas and readers"
        )
    FOLDER.mkdir(exist_ok=True)
    done = subprocess.run(
        ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(FOLDER), *PACKAGES],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"npm cannot install {', '.join(PACKAGES)}: {done.stderr[-300:]}")
    stamp.write_text(" ".join(PACKAGES))
    return FOLDER / "node_modules"


def schema(path: str) -> dict[str, object]:
    """Return a JSON schema from a package."""
    return json.loads((folder() / path).read_text(encoding="utf-8"))


def heimdall(text: str) -> dict[str, str]:
    """Return what Heimdall's library calls each control: Passed, Failed, Not Reviewed, Profile Error, Not Applicable."""
    script = (
        "const i=require('inspecjs');let t='';process.stdin.on('data',d=>t+=d).on('end',()=>{"
        "const c=i.convertFileContextual(t);const o={};"
        "for(const p of c.contains)for(const k of p.contains)o[k.data.id]=k.root.hdf.status;"
        "console.log(JSON.stringify(o))})"
    )
    done = subprocess.run(
        ["node", "-e", script],
        input=text,
        cwd=folder(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout)
