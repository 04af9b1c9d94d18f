"""What is read from the package's own files is kept like bytecode: until one of them changes."""

from __future__ import annotations

import os
import sys

import pytest

from pytest_deploygate.files import compiled


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of two files, whose number of characters is asked for."""
    monkeypatch.setattr(compiled, "_PACKAGE", tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    (tmp_path / "__pycache__").mkdir()  # Python has made it for the package's first module
    (tmp_path / "one.py").write_text("1")
    (tmp_path / "two.py").write_text("22")
    return tmp_path


@pytest.fixture
def ask(package):
    """Ask for the number of characters; return it, and whether the files were read for it."""

    def asked():
        read = []

        def count():
            read.append(1)
            return sum(len(file.read_text()) for file in files)

        files = sorted(package.glob("*.py"))
        return compiled.kept("counted", files, count), bool(read)

    return asked


def test_files_are_read_once(ask, package):
    assert [ask(), ask(), ask()] == [(3, True), (3, False), (3, False)]
    (kept,) = (package / "__pycache__").iterdir()
    assert kept.name == f"counted.{sys.implementation.cache_tag}.pickle"


def test_a_file_that_changed_came_or_went_is_read(ask, package):
    ask()
    (package / "one.py").write_text("1333")
    assert [ask(), ask()] == [(6, True), (6, False)]
    (package / "three.py").write_text("")
    assert [ask(), ask()] == [(6, True), (6, False)]
    (package / "two.py").unlink()
    assert [ask(), ask()] == [(4, True), (4, False)]


def test_another_version_of_a_file_is_read_although_its_size_and_time_are_the_same(ask, package):
    """As those of two wheels may be: archives for reproducible builds give all files one time."""
    os.utime(package / "one.py", (1_580_601_600, 1_580_601_600))
    ask()
    (package / "new.py").write_text("4")
    os.utime(package / "new.py", (1_580_601_600, 1_580_601_600))
    (package / "new.py").rename(package / "one.py")
    assert ask() == (3, True)


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: kept.write_bytes(b""),
        lambda kept: kept.write_bytes(b"no pickle"),
        lambda kept: kept.write_bytes(kept.read_bytes()[:-3]),
        lambda kept: (kept.unlink(), kept.mkdir()),
    ],
    ids=["empty", "other", "cut off", "a folder"],
)
def test_what_is_damaged_is_read_again(ask, package, damage):
    ask()
    damage(*(package / "__pycache__").iterdir())
    assert ask() == (3, True)


def test_nothing_is_kept_where_python_writes_no_bytecode(ask, package, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert [ask(), ask()] == [(3, True), (3, True)]
    assert list((package / "__pycache__").iterdir()) == []


def test_it_is_kept_where_python_keeps_bytecode(ask, package, tmp_path_factory, monkeypatch):
    elsewhere = tmp_path_factory.mktemp("bytecode")
    monkeypatch.setattr(sys, "pycache_prefix", str(elsewhere))
    assert [ask(), ask()] == [
        (3, True),
        (3, True),
    ]  # the folder is not there, and bytecode of ours made it before
    elsewhere.joinpath(*package.parts[1:]).mkdir(parents=True)
    assert [ask(), ask()] == [(3, True), (3, False)]
    assert list((package / "__pycache__").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_no_problem(ask, package):
    (package / "__pycache__").rmdir()
    (package / "__pycache__").write_text("a file")
    assert [ask(), ask()] == [(3, True), (3, True)]


def test_files_of_others_are_read_each_time(package, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "own.py"
    other.write_text("")
    read = []
    for _ in range(2):
        compiled.kept("counted", [package / "one.py", other], lambda: read.append(1))
    assert len(read) == 2


def test_a_file_that_is_gone_is_said_by_its_reader(package):
    with pytest.raises(FileNotFoundError):
        compiled.kept("counted", [package / "gone.py"], lambda: 1)
