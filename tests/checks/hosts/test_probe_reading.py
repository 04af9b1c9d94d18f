"""Reading a host's answer: what Debian, RHEL and busybox print, and what none of them should."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from pytest_deploygate.checks.hosts.facts import FileSystem
from pytest_deploygate.checks.hosts.probe import commands, reading
from pytest_deploygate.clients.host import batch

MARK = "5f0e"
MOUNTS = r"""/dev/sda1 / ext4 rw,relatime 0 0
proc /proc proc rw 0 0
tmpfs /run tmpfs rw,nosuid 0 0
/dev/sdb1 /var/lib/my\040data xfs rw 0 0
/dev/loop0 /snap/core squashfs ro 0 0
/dev/sda1 /etc/hosts ext4 rw,relatime 0 0
"""
DF = """Filesystem     1024-blocks    Used Available Capacity Mounted on
/dev/sda1           1000000  400000    550000      43% /
tmpfs                 10000     100      9900       1% /run
/dev/sdb1            500000  499000         0     100% /var/lib/my data
/dev/loop0            65000   65000         0     100% /snap/core
/dev/sda1           1000000  400000    550000      43% /etc/hosts
ended 0
"""
DF_INODES = """Filesystem     Inodes IUsed IFree IUse% Mounted on
/dev/sda1        65536 10000 55536   16% /
tmpfs             1000    10   990    1% /run
/dev/sdb1            0     0     0     - /var/lib/my data
ended 1
"""
FSTAB = r"""# /etc/fstab
UUID=1-2 / ext4 errors=remount-ro 0 1
UUID=3-4 /var/lib/my\040data xfs defaults 0 2
UUID=5-6 none swap sw 0 0
UUID=7-8 /backup ext4 defaults 0 2
/dev/cdrom /media/cdrom iso9660 ro,noauto 0 0
server:/share /share nfs nofail 0 0
"""


def read(**parts: str):
    """Read an answer with these parts."""
    return reading.machine(parts, 1000.0, 1001.0)


def test_file_systems_are_those_that_store_each_once():
    found = read(mounts=MOUNTS, space=DF, inodes=DF_INODES, fstab=FSTAB).file_systems
    assert found == (
        FileSystem("/", "ext4", 1000000, 550000, 65536, 55536, writable_by_fstab=True),
        FileSystem("/run", "tmpfs", 10000, 9900, 1000, 990),
        FileSystem("/var/lib/my data", "xfs", 500000, 0, None, None, writable_by_fstab=True),
    )


def test_what_fstab_asks_for_and_is_not_there():
    assert read(mounts=MOUNTS, fstab=FSTAB).not_mounted == ("/backup",)


MOUNTINFO = r"""1 0 8:1 / / rw - ext4 /dev/sda1 rw
2 1 0:5 / /proc rw - proc proc rw
3 1 0:20 / /run rw - tmpfs tmpfs rw
4 1 8:17 / /var/lib/my\040data rw - xfs /dev/sdb1 rw
5 1 0:44 / /home/ann/remote rw - fuse.sshfs ann@files: rw
6 1 0:45 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw
7 1 0:20 /lock /srv/lock rw - tmpfs tmpfs rw
8 1 8:1 /etc/hosts /etc/hosts rw - ext4 /dev/sda1 rw
"""
MORE_MOUNTS = (
    MOUNTS
    + """ann@files: /home/ann/remote fuse.sshfs rw 0 0
overlay /var/lib/docker/overlay2/x/merged overlay rw 0 0
tmpfs /srv/lock tmpfs rw 0 0
"""
)


@pytest.mark.parametrize(("ended", "hidden"), [("0", ()), ("1", ("/home/ann/remote",)), ("124", ())])
def test_mounts_that_df_may_not_look_at(ended, hidden):
    """It leaves them out and exits with 1; another name of a device that it printed is none of them."""
    space = DF.replace("ended 0", f"ended {ended}")
    assert read(mounts=MORE_MOUNTS, space=space, devices=MOUNTINFO).not_looked_at == hidden


def test_a_host_without_fstab_asks_for_nothing():
    assert read(mounts=MOUNTS).not_mounted == ()


def test_file_systems_are_unknown_without_df_or_mounts():
    assert read(mounts=MOUNTS).file_systems is None
    assert read(space=DF).file_systems is None
    assert read(space=DF).not_mounted is None


def test_a_file_system_mounted_again_read_only():
    again = MOUNTS.replace("ext4 rw,relatime 0 0\nproc", "ext4 ro,relatime 0 0\nproc")
    root = (read(mounts=again, space=DF, fstab=FSTAB).file_systems or ())[0]
    assert (root.read_only, root.writable_by_fstab) == (True, True)


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ('NAME="Debian"\nVERSION_ID="12"\nID=debian\n', "debian 12"),
        ('ID="rhel"\nVERSION_ID="9.4"', "rhel 9.4"),
        ("ID=alpine\nVERSION_ID=3.20.1", "alpine 3.20.1"),
        ("ID=arch", "arch"),
        ("", None),
        ("garbage", None),
    ],
)
def test_the_release(text, release):
    assert read(release=text).release == release


@pytest.mark.parametrize(
    ("parts", "cpus"),
    [
        ({"cpus": "8"}, 8),
        ({"cpus": "8", "cpu_limit": "max 100000"}, 8),
        ({"cpus": "8", "cpu_limit": "250000 100000"}, 2),
        ({"cpus": "8", "cpu_limit": "50000 100000"}, 1),
        ({"cpus_online": "0-3,8"}, 5),
        ({"cpus_online": "0"}, 1),
        ({"cpus_online": "0-7", "cpu_limit": "250000 100000"}, 2),
        ({"cpus_online": "none", "cpus": "8"}, 8),
        ({"cpus": "undefined"}, None),
        ({}, None),
    ],
)
def test_processors_of_a_machine_and_of_a_container(parts, cpus):
    assert read(**parts).cpus == cpus


@pytest.mark.parametrize(("limit", "kb"), [(None, 4000000), ("max", 4000000), ("1048576000", 1024000)])
def test_memory_of_a_machine_and_of_a_container(limit, kb):
    parts = {"memory": "MemTotal:        4000000 kB\nMemFree: 1 kB"} | (
        {"memory_limit": limit} if limit else {}
    )
    assert read(**parts).memory_kb == kb


@pytest.mark.parametrize(
    "common",
    ["", "uninitialized", "00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
     "03000200-0400-0500-0006-000700080009", "Not Settable"],
)  # fmt: skip
def test_identifiers_that_many_machines_share_are_none(common):
    assert read(machine_id=common, instance_id=common).machine_id is None
    assert read(machine_id=common, instance_id=common).instance_id is None


def test_the_clock_is_known_within_question_and_answer():
    found = reading.offset("1003.50", "1003.75", 1000.0, 1001.0)
    assert found is not None
    assert (found.low_s, found.high_s) == (2.75, pytest.approx(3.51))


@pytest.mark.parametrize("without_fraction", ["1000", "1000.", "1000.%N", "1000.N"])
def test_a_date_without_fractions_is_known_within_a_second_more(without_fraction):
    offset = reading.offset(without_fraction, without_fraction, 1000.4, 1000.6)
    assert offset is not None
    assert offset.low_s == pytest.approx(-0.6)
    assert offset.high_s == pytest.approx(0.6)


def test_a_clock_that_prints_no_time():
    assert reading.offset("date: invalid", "1000", 1000, 1001) is None
    assert reading.offset(None, None, 1000, 1001) is None


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        (None, None),
        ("systemd\n.", ()),
        ("systemd\ndata.mount loaded failed failed /data\n.", ("data.mount",)),
        ("systemd", None),
    ],
)
def test_mount_units_that_failed(text, failed):
    assert read(**({"failed_mounts": text} if text else {})).failed_mounts == failed


def test_a_banner_is_not_a_fact():
    output = (
        f"Welcome!\n{MARK}x no\n\n{MARK} begin\n\n{MARK} hostname\ndb1\n\n{MARK} kernel\n\n{MARK} end\nBye\n"
    )
    answered = batch.parts(output, MARK)
    assert (answered.began, answered.whole) == (True, True)
    assert answered.parts == {"hostname": "db1", "end": "Bye"}
    assert answered.before == f"Welcome! {MARK}x no"


def test_an_answer_that_was_cut_off():
    assert not batch.parts(f"{MARK} begin\n\n{MARK} hostname\ndb1", MARK).whole


def test_no_shell_at_all():
    answered = batch.parts("'sh' is not recognized as an internal or external command", MARK)
    assert (answered.began, answered.before) == (
        False,
        "'sh' is not recognized as an internal or external command",
    )


def run_there(*shell: str, path: str) -> tuple[reading.Machine, str]:
    """Run the script with a shell and the programs of a folder; return what it read and its errors."""
    done = subprocess.run(
        [*shell, "-c", batch.script(MARK, commands.COMMANDS)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={"PATH": path},
    )
    answered = batch.parts(done.stdout, MARK)
    assert answered.whole
    return reading.machine(answered.parts, 0.0, 9e9), done.stderr


def told(found: reading.Machine) -> set[str]:
    """Return what the host could tell."""
    names = ("boot_id", "kernel", "release", "cpus", "memory_kb", "file_systems", "since_boot_s", "clock")
    return {name for name in names if getattr(found, name) is not None}


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_script_runs_in_the_shells_of_debian(shell):
    found, errors = run_there(str(shutil.which(shell)), path="/usr/bin:/bin")
    assert told(found) >= {"boot_id", "kernel", "cpus", "memory_kb", "file_systems", "since_boot_s", "clock"}
    assert "/" in {each.mount for each in found.file_systems or ()}
    assert errors == ""


def test_the_script_runs_with_nothing_but_busybox(tmp_path):
    """As on Alpine: each program is busybox, which has no fractions of a second and no getconf."""
    busybox = shutil.which("busybox")
    if not busybox:
        pytest.skip("there is no busybox here: apt install busybox")
    for applet in subprocess.run(
        [busybox, "--list"], capture_output=True, text=True, check=True
    ).stdout.split():
        (tmp_path / applet).symlink_to(busybox)
    found, errors = run_there(str(tmp_path / "sh"), path=str(tmp_path))
    assert told(found) >= {"boot_id", "kernel", "cpus", "memory_kb", "file_systems", "since_boot_s", "clock"}
    assert "/" in {each.mount for each in found.file_systems or ()}
    assert errors == ""


def test_a_host_without_awk_prints_the_files_whole(tmp_path):
    for program in ("cat", "date", "uname", "df", "id", "getconf", "grep"):
        (tmp_path / program).symlink_to(str(shutil.which(program)))
    found, errors = run_there(str(shutil.which("sh")), path=str(tmp_path))
    assert told(found) >= {"boot_id", "kernel", "cpus", "memory_kb", "file_systems", "since_boot_s", "clock"}
    assert errors == ""


def lines_there(wanted, programs):
    done = subprocess.run(
        [str(shutil.which("sh")), "-c", batch.script(MARK, wanted)],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": str(programs)},
    )
    answered = batch.parts(done.stdout, MARK)
    assert answered.whole
    assert done.stderr == ""
    return answered.parts


@pytest.mark.parametrize("awk", ["mawk", "gawk", "busybox"])
def test_lines_of_files_are_as_they_are_there(tmp_path, awk):
    """Missing files are left out; `first` stops reading behind the first lines that are wanted."""
    if not shutil.which(awk):
        pytest.skip(f"there is no {awk} here")
    (tmp_path / "awk").symlink_to(str(shutil.which(awk)))
    file, other = tmp_path / "it's", tmp_path / "other"
    file.write_text('a 1\nb \\ "2" %s $(x)\nc 3\na 4')
    other.write_text("a 5\n")
    wanted = {
        "whole": batch.Lines((str(file), str(tmp_path / "missing"), str(other))),
        "shell": "echo here",
        "some": batch.Lines((str(file), str(other)), "^(a|c) "),
        "first": batch.Lines((str(file), str(other)), "^(a|b) ", first=True),
        "none": batch.Lines((str(file),), "^x"),
    }
    assert lines_there(wanted, tmp_path) == {
        "whole": file.read_text() + "\na 5",
        "shell": "here",
        "some": "a 1\nc 3\na 4\na 5",
        "first": 'a 1\nb \\ "2" %s $(x)\na 5',
    }


@pytest.mark.parametrize("awk", ["mawk", "gawk", "busybox", None])
def test_a_file_that_cannot_be_read_hides_no_other(tmp_path, awk):
    """mawk ends at a file that opens and does not read, as /proc/pressure/cpu on some kernels; a folder does the same."""
    if awk and not shutil.which(awk):
        pytest.skip(f"there is no {awk} here")
    for name, program in {"awk": awk, "cat": "cat"}.items():
        if program:
            (tmp_path / name).symlink_to(str(shutil.which(program)))
    (tmp_path / "file").write_text("a 1\nb 2\n")
    file = str(tmp_path / "file")
    found = lines_there(
        {
            "before": batch.Lines((file,)),
            "folder": batch.Lines((str(tmp_path), file)),
            "after": batch.Lines((file,)),
        },
        tmp_path,
    )
    assert found == {"before": "a 1\nb 2", "folder": "a 1\nb 2", "after": "a 1\nb 2"}


@pytest.mark.parametrize("end", ["ended 124", "ended 137", "ended 143", ""])
def test_a_df_that_was_cut_off_tells_nothing(end):
    """busybox prints line by line: file systems behind one that hangs would be missing, and pass."""
    cut = read(mounts=MOUNTS, space=DF.replace("ended 0", end), inodes=DF_INODES)
    assert cut.file_systems is None
    assert not read(mounts=MOUNTS, space=DF, inodes=DF_INODES.replace("ended 1", end)).inodes_told


def test_inodes_and_systemd_that_do_not_answer():
    assert not read(mounts=MOUNTS, space=DF).inodes_told
    assert read(mounts=MOUNTS, space=DF, inodes=DF_INODES).inodes_told
    assert read(failed_mounts="systemd").systemd_silent
    assert not read().systemd_silent
