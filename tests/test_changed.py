"""`bin/test --changed`: which tests a change affects, on a small tree made here and on this repository."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import changed
import pytest
from changed import ROOT, Selection, Tree, arguments, changed_files, selected

FILES = {
    "pytest_deploygate/model.py": "",
    "pytest_deploygate/journal.py": "from pytest_deploygate import model",
    "pytest_deploygate/report/__init__.py": "",
    "pytest_deploygate/report/page.py": "from pytest_deploygate.journal import Entry",
    "pytest_deploygate/session/run.py": "def end():\n    from pytest_deploygate.report import page\n",
    "pytest_deploygate/cli/decide.py": "from pytest_deploygate.session import run",
    "pytest_deploygate/alone.py": "",
    "pytest_deploygate/checks/__init__.py": "",
    "pytest_deploygate/checks/files/__init__.py": "",
    "pytest_deploygate/checks/files/judge.py": "",
    "pytest_deploygate/checks/queues/__init__.py": "",
    "pytest_deploygate/checks/queues/probe.py": "from pytest_deploygate.checks.files import facts",
    "pytest_deploygate/rollback/back.py": "from pytest_deploygate.checks.queues.section import Queue",
    "pytest_deploygate/suites/test_files.py": "",
    "pytest_deploygate/suites/checklist.md": "",
    "pytest_deploygate/lab/faults/files.py": "",
    "pytest_deploygate/lab/up.py": "",
    "tests/conftest.py": "from pytest_deploygate.lab import up",
    "tests/forked.py": "PRELOAD = 'pytest_deploygate.cli'",
    "tests/test_journal.py": "from pytest_deploygate.journal import Writer",
    "tests/checks/conftest.py": "import queue_server",
    "tests/checks/queue_server.py": "",
    "tests/checks/files/test_judge_files.py": "",
    "tests/checks/queues/test_probe_queues.py": "import queue_server",
    "tests/report/sample.py": "from pytest_deploygate.journal import Entry",
    "tests/report/test_page.py": "import sample",
    "tests/plugin/conftest.py": "import project",
    "tests/plugin/project.py": "import forked\nforked.run('pytest', [])",
    "tests/plugin/test_runs.py": "",
    "tests/rollback/test_back.py": "from pytest_deploygate.checks.files.facts import Size",
    "tests/rollback/test_examples.py": "PAGE = 'docs/hooks.md'",
    "tests/cli/test_decide.py": "import forked\nforked.run('pytest_deploygate', ['decide'])",
    "tests/docs/test_prose.py": "",
    "tests/inventory/test_schema.py": "",
    "tests/lab/test_up.py": "from pytest_deploygate.lab import up",
    "docs/hooks.md": "",
}


@pytest.fixture
def tree(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return Tree(tmp_path)


@pytest.mark.parametrize(
    ("file", "paths", "subjects"),
    [
        # A subject, with the subjects and layers that import it, and with test files that use it.
        ("pytest_deploygate/checks/queues/probe.py", "tests/checks/queues tests/inventory tests/rollback", "queues"),
        ("pytest_deploygate/checks/files/judge.py",
         "tests/checks/files tests/checks/queues tests/inventory tests/rollback", "files queues"),
        ("pytest_deploygate/suites/test_files.py",
         "tests/checks/files tests/checks/queues tests/inventory tests/rollback", "files queues"),
        ("pytest_deploygate/lab/faults/files.py",
         "tests/checks/files tests/checks/queues tests/inventory tests/lab tests/rollback", "files queues"),
        # A layer, with those above it; what is not below stays out.
        ("pytest_deploygate/cli/decide.py", "tests/cli", ""),
        ("pytest_deploygate/report/page.html", "tests/cli/test_decide.py tests/plugin/test_runs.py tests/report", ""),
        ("pytest_deploygate/journal.py",
         "tests/cli/test_decide.py tests/plugin/test_runs.py tests/report/test_page.py tests/test_journal.py", ""),
        ("pytest_deploygate/lab/up.py", "tests/lab", ""),
        # Tests and their helpers.
        ("tests/report/test_page.py", "tests/report/test_page.py", ""),
        ("tests/report/sample.py", "tests/report", ""),
        ("tests/checks/queue_server.py", "tests/checks", ""),
        ("tests/report/test_removed.py", "", ""),
        # Pages, and files that are not part of the product.
        ("docs/hooks.md", "tests/docs tests/rollback/test_examples.py", ""),
        ("CHANGELOG.md", "tests/docs", ""),
        ("inventories/inventory.schema.json", "tests/inventory", ""),
        ("benchmarks/imports.py", "", ""),
    ],
)  # fmt: skip
def test_what_a_file_touches(tree, file, paths, subjects):
    found = selected([file], tree)
    assert (found.whole, set(found.subjects)) == ("", set(subjects.split()))
    assert arguments(found) == sorted(paths.split())


@pytest.mark.parametrize(
    "file",
    [
        "pyproject.toml",
        "conftest.py",
        "bin/test",
        ".ci/run",
        "pytest_deploygate/lab/inventories/lab.yml",
        "pytest_deploygate/model.py",
        "pytest_deploygate/fields/types.py",
        "pytest_deploygate/clients/http/client.py",
        "pytest_deploygate/suites/checklist.md",
        "pytest_deploygate/checks/__init__.py",
        "pytest_deploygate/checks/removed/judge.py",
        "pytest_deploygate/alone.py",
        "tests/conftest.py",
        "tests/forked.py",
        "something-new",
    ],
)
def test_in_doubt_everything(tree, file):
    found = selected(["docs/hooks.md", file], tree)
    assert found.whole == f"{file} changed"
    assert arguments(found, ["tests/faults/test_faults.py::test_fault[x]"]) == ["tests"]


def test_nothing_is_given_twice():
    found = Selection(frozenset({"tests/a", "tests/a/test_x.py", "tests/ab/test_y.py"}))
    faults = ["tests/a/test_x.py::test_fault[one]", "tests/faults/test_z.py::test_fault[two]"]
    assert arguments(found, faults) == [
        "tests/a",
        "tests/ab/test_y.py",
        "tests/faults/test_z.py::test_fault[two]",
    ]


def test_every_subject_and_layer_of_this_repository_has_a_rule():
    """Any file added later selects tests or everything, never nothing."""
    tree = Tree(ROOT)
    for file in tree.package:
        found = selected([file], tree)
        assert found.whole or found.paths, file
    subjects = {path.parent.name for path in (ROOT / "pytest_deploygate" / "checks").glob("*/__init__.py")}
    for subject in subjects:
        assert subject in selected([f"pytest_deploygate/checks/{subject}/judge.py"], tree).subjects


def test_faults_of_a_subject_are_those_of_its_suites_items():
    found = changed.faults_of({"pooling"})
    groups = [node.rpartition("[")[2].removesuffix("]").split("+") for node in found]
    assert ["pooler-down"] in groups
    assert any("pooler-down" in group and len(group) > 1 for group in groups)
    assert all(node.startswith("tests/faults/") for node in found)
    assert not any("replica" in node for node in found)


@pytest.fixture
def repository(tmp_path):
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    for name in ("kept", "edited", "removed"):
        (tmp_path / name).write_text("1\n")
    (tmp_path / ".gitignore").write_text("ignored\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message=first")
    return tmp_path


def git(folder: Path, *words: str) -> str:
    options = ["-c", "user.name=tests", "-c", "user.email=tests@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *options, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_files_that_differ_from_the_main_branch(repository):
    """Commits on the branch, uncommitted changes and new files; not what was added to main meanwhile."""
    first = git(repository, "rev-parse", "HEAD")
    git(repository, "switch", "--quiet", "-c", "work")
    (repository / "committed").write_text("1\n")
    git(repository, "add", ".")
    git(repository, "mv", "removed", "renamed")
    git(repository, "commit", "--quiet", "--message=second")
    git(repository, "switch", "--quiet", "main")
    (repository / "theirs").write_text("1\n")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message=third")
    git(repository, "switch", "--quiet", "work")
    (repository / "edited").write_text("2\n")
    (repository / "new file").write_text("1\n")
    (repository / "ignored").write_text("1\n")
    assert changed_files(repository) == (
        first,
        ["committed", "edited", "new file", "removed", "renamed"],
    )
    assert changed_files(repository, "HEAD")[1] == ["edited", "new file"]


def test_on_the_main_branch_what_is_not_committed(repository):
    assert changed_files(repository)[1] == []
    (repository / "edited").write_text("2\n")
    assert changed_files(repository)[1] == ["edited"]


def test_a_revision_that_is_not_there_is_refused(repository):
    with pytest.raises(SystemExit, match="rev-parse"):
        changed_files(repository, "v9")


def test_ci_runs_everything(monkeypatch):
    monkeypatch.setenv("CI", "true")
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "changed.py"], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("tests\n", "bin/test --changed: everything, because this is CI\n")
