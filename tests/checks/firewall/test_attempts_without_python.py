"""Attempts by a POSIX shell with what a host has: bash, the nc of OpenBSD, that of busybox, or nothing."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from network_sockets import answering, full, has_ipv6, listening, silent

from pytest_deploygate.checks.firewall.probe import host, without_python
from pytest_deploygate.checks.firewall.probe.attempts import ASKED

#: What else the script needs, all of it in busybox too.
_TOOLS = ("cat", "date", "grep", "head", "printf", "timeout", "tr", "true", "wc")


@pytest.fixture
def places() -> Iterator[dict[str, int]]:
    """Ports on loopback, by what they do."""
    with listening() as opened, full() as filtered, answering() as answers, silent() as quiet:
        yield {"open": opened, "filtered": filtered, "answers": answers, "quiet": quiet}


def path_with(folder: Path, **programs: str) -> str:
    """Make a folder that has these programs and nothing else; all are busybox where it is named so."""
    folder.mkdir()
    for name in _TOOLS:
        found = shutil.which("busybox") if "busybox" in programs.values() else shutil.which(name)
        (folder / name).symlink_to(found or "/bin/false")
    for name, real in programs.items():
        found = shutil.which(real)
        if found is None:
            pytest.skip(
                f"there is no {real}: apt install {'netcat-openbsd' if real == 'nc.openbsd' else real}"
            )
        (folder / name).symlink_to(found)
    return str(folder)


def tried(
    path: str, plan: str, shell: str = "/bin/sh", within_s: float = 60
) -> tuple[str, dict[tuple[str, int], str]]:
    """Run the script as a host runs it; return what it used, and letters by protocol and port."""
    script = without_python.script(plan, 1, within_s)
    command = f"LC_ALL=C; export LC_ALL; exec </dev/null\n{{ {script}; }} 2>/dev/null"
    said = subprocess.run(
        [*shell.split(), "-c", command],
        capture_output=True,
        text=True,
        env={"PATH": path},
        check=True,
        timeout=100,
    ).stdout.splitlines()
    found = host.read(said)
    return said[0].removeprefix("with ").strip(), {(key[0], key[2]): letter for key, letter in found.items()}


def plan(places: dict[str, int]) -> str:
    return f"tcp 127.0.0.1 1-3,{places['open']},{places['filtered']};dns 127.0.0.1 1,{places['answers']},{places['quiet']}"


def test_no_question_has_a_line_end():
    """bash writes at each of them, which would make two packets of one."""
    assert not [name for name, asked in ASKED.items() if b"\n" in bytes.fromhex(asked[0])]


@pytest.mark.parametrize("shell", ["/bin/sh", "bash", "busybox sh"])
def test_bash(tmp_path, places, shell):
    if shutil.which(shell.split()[0]) is None:
        pytest.skip(f"there is no {shell.split()[0]}: apt install {shell.split()[0]}")
    path = path_with(tmp_path / "bin", bash="bash")
    real = f"{shutil.which(shell.split()[0])} {' '.join(shell.split()[1:])}"
    program, found = tried(path, plan(places), real)
    assert program == "bash"
    assert found == {
        **{("tcp", port): "r" for port in (1, 2, 3)},
        ("tcp", places["open"]): "o",
        ("tcp", places["filtered"]): "s",
        ("dns", 1): "r",
        ("dns", places["answers"]): "o",
        ("dns", places["quiet"]): "s",
    }


@pytest.mark.parametrize(
    ("programs", "program"),
    [
        ({"nc": "nc.openbsd"}, "nc"),
        ({"nc": "busybox"}, "nc of busybox"),
        ({"busybox": "busybox"}, "busybox nc"),
    ],
)
def test_nc(tmp_path, places, programs, program):
    used, found = tried(path_with(tmp_path / "bin", **programs), plan(places))
    assert used == program
    assert found == {
        **{("tcp", port): "r" for port in (1, 2, 3)},
        ("tcp", places["open"]): "o",
        ("tcp", places["filtered"]): "s",
        ("dns", 1): "x",
        ("dns", places["answers"]): "x",
        ("dns", places["quiet"]): "x",
    }


def test_ipv6(tmp_path):
    if not has_ipv6():
        pytest.skip("no ::1 here")
    with listening("::1") as port:
        _, found = tried(path_with(tmp_path / "bin", bash="bash"), f"tcp ::1 {port},1")
    assert found == {("tcp", port): "o", ("tcp", 1): "r"}


def test_nothing(tmp_path, places):
    program, found = tried(path_with(tmp_path / "bin"), plan(places))
    assert program == ""
    assert set(found.values()) == {"x"}


def test_no_route(tmp_path):
    _, found = tried(path_with(tmp_path / "bin", bash="bash"), "tcp 224.0.0.1 5")
    assert found == {("tcp", 5): "n"}


def test_the_time_is_over(tmp_path, places):
    """A group of attempts ends; what comes after the time is not tried, and said so."""
    line = f"tcp 127.0.0.1 {places['filtered']},1-100"
    _, found = tried(path_with(tmp_path / "bin", bash="bash"), line, within_s=1)
    assert len(found) == 101
    assert list(found.values()).count("x") > 50
