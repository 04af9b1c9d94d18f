"""A folder in which the scripts of a pipeline are run for real, with stand-ins for what they call. No tests here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "templates"
STAND_IN = Path(__file__).parent / "stand_in.py"
STAND_INS = ("pytest", "deploygate", "pip", "python3", "sleep")


class Workplace:
    """A checkout on one machine: `folder` is where scripts start. All share what was `called`."""

    def __init__(self, top: Path, name: str) -> None:
        self.top = top
        self.folder = top / name
        self.folder.mkdir(exist_ok=True)
        self._bin = top / "bin"
        if not self._bin.exists():
            self._bin.mkdir()
            # Without site-packages a start takes a third of the time.
            text = f"#!{sys.executable} -IS\n{STAND_IN.read_text(encoding='utf-8')}"
            for one in STAND_INS:
                (self._bin / one).write_text(text, encoding="utf-8")
                (self._bin / one).chmod(0o755)

    def run(self, shell: Sequence[str], script: str, environment: Mapping[str, object]) -> int:
        """Run a script and return its exit code."""
        plain = {"PATH": f"{self._bin}:{os.environ['PATH']}", "CALLED": str(self.top / "called.jsonl")}
        told = {name: str(value) for name, value in environment.items()}
        done = subprocess.run(
            [*shell, script], cwd=self.folder, env=plain | told, timeout=60, check=False, capture_output=True
        )
        return done.returncode

    def called(self, name: str, *words: str) -> list[dict[str, Any]]:
        """Return the calls of a program whose first words are these."""
        file = self.top / "called.jsonl"
        calls = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [c for c in calls if c["name"] == name and c["words"][: len(words)] == list(words)]


def filled(text: object, values: Mapping[str, object]) -> str:
    """Replace `${{ name }}`, `{{name}}`, `$[[ name ]]`, `<< name >>` and `$(name)` as the system does."""
    for pattern in (
        r"\$\{\{\s*(.+?)\s*\}\}",
        r"\{\{(.+?)\}\}",
        r"\$\[\[\s*(.+?)\s*\]\]",
        r"<< (.+?) >>",
        r"\$\(([A-Z]\w+\.\w+)\)",
    ):
        text = re.sub(pattern, lambda found: str(values[found[1]]), str(text))
    return str(text)


def environment(found: Mapping[str, object] | None, values: Mapping[str, object]) -> dict[str, str]:
    """Return variables as a system sets them. Azure's `each` loops are left out."""
    plain = (found or {}).items()
    return {name: filled(value, values) for name, value in plain if not name.startswith("${{")}
