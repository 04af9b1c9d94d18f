"""The action and the GitLab component follow their schemas; their scripts are valid and hold no input as text."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def checked(schema: str, file: Path, *more: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *more, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.long
def test_files_follow_their_schemas(tmp_path: Path) -> None:
    checked("vendor.github-actions", ROOT / "action.yml")
    _, jobs = (ROOT / "templates/deploygate.yml").read_text().split("\n---\n")
    (tmp_path / "jobs.yml").write_text(jobs)
    checked("vendor.gitlab-ci", tmp_path / "jobs.yml", "--data-transform", "gitlab-ci")


def test_scripts_are_bash_and_take_inputs_from_the_environment() -> None:
    steps = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"]
    scripts = [step["run"] for step in steps if "run" in step]
    assert len(scripts) == 4
    for script in scripts:
        assert "${{" not in script
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
