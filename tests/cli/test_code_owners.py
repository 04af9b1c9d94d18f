"""`init` writes who must review records, inventories, tests and the workflow into the repository's CODEOWNERS."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from click.testing import CliRunner

from pytest_deploygate.cli import main
from pytest_deploygate.cli.shared import code_owners


def owned(file: Path) -> list[str]:
    lines = file.read_text().splitlines()
    return [line.split()[0] for line in lines if line.startswith("/") and "@your-organisation/" in line]


def test_init_names_every_place_that_decides(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["init", str(tmp_path), "--json"])
    assert done.exit_code == 0, done.output
    assert "CODEOWNERS" in json.loads(done.output)["files"]
    assert owned(tmp_path / "CODEOWNERS") == [
        "/attestations/", "/waivers/", "/issues/", "/allowed_signers", "/inventories/", "/suites/", "/conftest.py",
        "/pytest.ini", "/.github/workflows/", "/CODEOWNERS",
    ]  # fmt: skip


def test_lines_go_to_the_end_of_the_file_that_the_repository_has(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    file = tmp_path / ".github" / "CODEOWNERS"
    file.parent.mkdir()
    file.write_text("* @somebody")
    (tmp_path / "the shop").mkdir()
    assert code_owners.add(tmp_path / "the shop") == file
    text = file.read_text()
    assert text.startswith("* @somebody\n\n# deploygate")
    assert "/the\\ shop/waivers/" in text
    assert "/.github/CODEOWNERS" in text
    assert code_owners.add(tmp_path / "the shop") is None
    assert file.read_text() == text
