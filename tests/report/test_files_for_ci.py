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
    assert len(scripts) == 5
    for script in scripts:
        assert "${{" not in script
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


#: Stands in for GitHub's command line: a file for each comment, its id is its name. jq is the part that is not tried.
GH = r"""#!/usr/bin/env bash
case "$*" in
  *--jq*) [[ "$*" == *'startswith("<!-- deploygate CHG-1 -->")'* ]] && grep -l "^<!-- deploygate CHG-1 -->" * ; true ;;
  *"--method POST repos/o/r/issues/7/comments --field body=@"*) cp "${6#body=@}" 101 ;;
  *"--method PATCH repos/o/r/issues/comments/101 --field body=@"*) cp "${6#body=@}" 101 ;;
  *) echo "unknown: $*" >&2; exit 1 ;;
esac
"""


def test_a_pull_request_has_one_comment_which_is_updated(tmp_path: Path) -> None:
    steps = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"]
    (script,) = (step["run"] for step in steps if "gh api" in step.get("run", ""))
    programs, comments = tmp_path / "bin", tmp_path / "comments"
    programs.mkdir()
    comments.mkdir()
    (comments / "55").write_text("Somebody quotes <!-- deploygate CHG-1 --> here\n")
    for name, text in (("gh", GH), ("deploygate", '#!/usr/bin/env bash\necho "$SAYS" > "${@: -1}"\n')):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    for says in ("HOLD", "GO"):
        env = {
            "PATH": f"{programs}:/usr/bin:/bin", "CHANGE": "CHG-1", "NUMBER": "7", "SAYS": says,
            "GITHUB_REPOSITORY": "o/r", "RUNNER_TEMP": str(tmp_path),
        }  # fmt: skip
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=comments, env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        said = f"<!-- deploygate CHG-1 -->\n{says}\n"
        assert (comments / "101").read_text() == said
    assert sorted(file.name for file in comments.iterdir()) == ["101", "55"]
