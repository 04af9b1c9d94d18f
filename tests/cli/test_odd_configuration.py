"""Files of a repository that commands read beside their own: one that is no file, or too large, is one sentence within 2 s."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from pytest_deploygate.cli import main

pytestmark = pytest.mark.timeout(60)  # what waits for a FIFO waits for ever
GB = 1024**3


def _large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(GB)


ODD = {
    "1 GB": (_large, "it is larger than 1 MB"),
    "a FIFO": (os.mkfifo, "it is a FIFO, not a file"),
    "a folder": (Path.mkdir, "it is a folder, not a file"),
    "a link to /dev/zero": (lambda path: path.symlink_to("/dev/zero"), "it is a device, not a file"),
    "no text": (lambda path: path.write_bytes(b"[pytest]\n\xff\xfe\n"), "is not UTF-8 text"),
}
CONFIGURATIONS = ("pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg", "pytest.toml", ".pytest.ini")


def _run(place: Path, *words: str) -> tuple[int, str]:
    began = time.process_time()
    with contextlib.chdir(place):
        done = CliRunner().invoke(main, words)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert time.process_time() - began < 2
    return done.exit_code, " ".join(done.output.split())


@pytest.mark.parametrize("what", ODD)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_configuration_of_pytest_is_one_sentence(tmp_path, name, what):
    make, says = ODD[what]
    make(tmp_path / name)
    code, said = _run(tmp_path, "init", ".")
    assert (code, name in said, says in said) == (4, True, True), said


@pytest.mark.parametrize("what", [what for what in ODD if what != "no text"])
@pytest.mark.parametrize("name", ["pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg"])
def test_each_command_says_it(tmp_path, name, what):
    """They look for the root of the repository first."""
    make, says = ODD[what]
    make(tmp_path / name)
    for words in (("outcome",), ("decide",), ("verify",), ("report",), ("plan", "--inventory", "x")):
        code, said = _run(tmp_path, *words)
        assert (code, f"{name} cannot be read: {says}" in said) == (4, True), (words, said)


@pytest.mark.parametrize("what", ODD)
@pytest.mark.parametrize("name", ["CODEOWNERS", ".github/CODEOWNERS", "docs/CODEOWNERS", ".gitignore"])
def test_a_file_that_is_added_to_is_one_sentence(tmp_path, name, what):
    make, says = ODD[what]
    (tmp_path / name).parent.mkdir(exist_ok=True)
    make(tmp_path / name)
    code, said = _run(tmp_path, "init", ".")
    assert (code, name in said, says in said) == (1, True, True), said


@pytest.mark.parametrize("what", ODD)
def test_a_checklist_to_begin_with_is_one_sentence(tmp_path, what):
    make, says = ODD[what]
    make(tmp_path / "mine.md")
    code, said = _run(tmp_path, "init", "new", "--from-checklist", "mine.md")
    assert (code, "mine.md" in said, says in said) in ((4, True, True), (2, True, False)), said


@pytest.mark.parametrize("what", ["1 GB", "a FIFO", "a link to /dev/zero"])
@pytest.mark.parametrize("name", ["suites/test_odd.py", "suites/conftest.py", "suites/helper.py"])
def test_a_run_does_not_wait_for_what_is_no_file(tmp_path, name, what):
    """pytest collects files only; what is none is neither read nor waited for."""
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = suites\n")
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "test_own.py").write_text(
        "try:\n    import helper\nexcept (ImportError, SyntaxError, ValueError):\n    pass\n"
    )
    (tmp_path / "inventories").mkdir()
    (tmp_path / "inventories" / "prod.yml").write_text("name: prod\n")
    ODD[what][0](tmp_path / name)
    if what == "1 GB":  # Python itself reads those, and takes its time: not ours to bound
        os.truncate(tmp_path / name, 2 * 1024**2)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-m", "phase2", "--deploygate-inventory", "prod", "--collect-only", "-q"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert "INTERNALERROR" not in done.stdout + done.stderr, done.stdout
