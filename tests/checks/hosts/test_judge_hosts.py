"""Servers as a whole: who answers, distinct machines, failure domains, and what each must be like."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pytest_deploygate.checks.hosts import judge
from pytest_deploygate.checks.hosts.facts import Answer, Details, FileSystem, Fleet, Machine, Offset
from pytest_deploygate.checks.hosts.section import Hosts
from pytest_deploygate.judging.silent_hosts import Cause, Failure
from pytest_deploygate.model import Judgement, Verdict

ROOT = FileSystem("/", "ext4", 1000, 500, 100, 50, writable_by_fstab=True)
REFUSED = Failure(Cause.DOWN, "it refuses the connection")
NO_KEY = Failure(Cause.LOGIN, "it refuses our key")


def machine(number: int, **changes: object) -> Machine:
    """Return a healthy machine."""
    good = Machine(
        boot_id=f"boot-{number}",
        machine_id=f"id-{number}",
        hostname=f"host{number}",
        system="Linux",
        kernel="6.1.0-18-amd64",
        release="debian 12",
        cpus=4,
        memory_kb=16 * 1024 * 1024,
        file_systems=(ROOT,),
        not_mounted=(),
        failed_mounts=(),
        clock=Offset(-0.01, 0.01),
        clock_synchronised=True,
        since_boot_s=86400.0,
        reboot_pending=False,
    )
    return replace(good, **changes)  # type: ignore[arg-type]


def fleet(*machines: Machine | Failure, domains: str = "abcd") -> Fleet:
    """Return hosts 1, 2, … with these machines, or failures, in the given domains (`-` for none)."""
    return Fleet(
        tuple(
            Answer(
                f"host{number}",
                ("database",),
                None if domains[number - 1] == "-" else f"zone-{domains[number - 1]}",
                found if isinstance(found, Machine) else None,
                found if isinstance(found, Failure) else None,
            )
            for number, found in enumerate(machines, 1)
        )
    )


def healthy(**third: object) -> Fleet:
    """Return three healthy hosts, the third with changes."""
    return fleet(machine(1), machine(2), machine(3, **third))


def hosts(**keys: object) -> Hosts:
    """Return the section for three hosts."""
    servers = [
        {"name": f"host{number}", "connection": "local://", "roles": ["database"]} for number in (1, 2, 3)
    ]
    return Hosts.model_validate({"servers": servers, **keys})


def judged(measured: Fleet, **keys: object) -> Judgement:
    """Judge a fleet."""
    return judge.judge(measured, hosts(**keys))


def test_healthy_servers_pass():
    judgement = judged(
        healthy(), require={"cpus": 4, "memory": "16GB", "kernel": "6.1", "releases": ["debian"]}
    )
    assert judgement.verdict is Verdict.PASS
    assert "3 of 3 servers answer, on 3 machines in 3 failure domains" in judgement.reason


WRONG = {
    "two names of one machine": ({"boot_id": "boot-2"}, {}, "host2 and host3 are one machine"),
    "a copy": ({"machine_id": "id-2"}, {}, "host2 and host3 are copies of one image"),
    "full": ({"file_systems": (replace(ROOT, free_kb=10),)}, {}, "host3: / has 1.0 % free space"),
    "inodes": ({"file_systems": (replace(ROOT, free_inodes=1),)}, {}, "host3: / has 1.0 % free inodes"),
    "read-only": ({"file_systems": (replace(ROOT, read_only=True),)}, {}, "/ is read-only"),
    "not mounted": ({"not_mounted": ("/archive",)}, {}, "not mounted: /archive"),
    "failed unit": ({"failed_mounts": ("data.mount",)}, {}, "not mounted: data.mount"),
    "clock ahead": ({"clock": Offset(2.9, 3.1)}, {}, "3.00 s ahead of ours"),
    "clock behind": ({"clock": Offset(-3.1, -2.9)}, {}, "3.00 s behind ours"),
    "processors": ({"cpus": 2}, {"cpus": 4}, "2 processors, at least 4"),
    "memory": ({"memory_kb": 1024}, {"memory": "1GB"}, "at least 1 GiB"),
    "kernel": ({"kernel": "5.9.16"}, {"kernel": "5.10"}, "kernel 5.9.16, at least 5.10"),
    "release": ({"release": "debian 11"}, {"releases": ["debian 12"]}, "runs debian 11"),
    "like another release": ({"release": "rhel 91"}, {"releases": ["rhel 9", "debian"]}, "runs rhel 91"),
    "restarted": ({"since_boot_s": 60.0}, {"time_since_boot": "1h"}, "started 1 min ago"),
    "restart pending": ({"reboot_pending": True}, {"reboot_pending": False}, "a restart is pending"),
}


@pytest.mark.parametrize(("changes", "require", "says"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_fails_with_the_host_and_the_number(changes, require, says):
    judgement = judged(healthy(**changes), require=require)
    assert judgement.verdict is Verdict.FAIL
    assert says in judgement.reason
    assert "host3" in judgement.reason


UNKNOWN = {
    "processors": ({"cpus": None}, {"cpus": 4}),
    "memory": ({"memory_kb": None}, {"memory": "1GB"}),
    "kernel": ({"kernel": None}, {"kernel": "5.10"}),
    "a kernel without a number": ({"kernel": "unknown"}, {"kernel": "5.10"}),
    "release": ({"release": None}, {"releases": ["debian 12"]}),
    "time since boot": ({"since_boot_s": None}, {"time_since_boot": "1h"}),
    "restart": ({"reboot_pending": None}, {"reboot_pending": False}),
    "space": ({"file_systems": None}, {}),
    "no file system at all": ({"file_systems": ()}, {}),
    "clock": ({"clock": None}, {}),
    "a clock known too vaguely": ({"clock": Offset(-0.5, 1.5)}, {}),
    "boot id": ({"boot_id": None}, {}),
    "inodes": ({"inodes_told": False}, {}),
    "a mount that df may not look at": ({"not_looked_at": ("/home/ann/remote",)}, {}),
    "failed mounts": ({"failed_mounts": None, "systemd_silent": True}, {}),
}


@pytest.mark.parametrize(("changes", "require"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_a_host_cannot_tell_is_inconclusive_if_it_is_required(changes, require):
    judgement = judged(healthy(**changes), require=require)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "host3" in judgement.reason


@pytest.mark.parametrize(
    "changes",
    [
        {"cpus": None},
        {"kernel": None},
        {"since_boot_s": None},
        {"reboot_pending": None},
        {"machine_id": None},
    ],
)
def test_what_is_not_required_may_be_unknown(changes):
    assert judged(healthy(**changes)).verdict is Verdict.PASS


NEIGHBOURS = {
    "a kernel with a longer number": ({"kernel": "5.10.1"}, {"kernel": "5.10"}),
    "a newer kernel": ({"kernel": "5.15"}, {"kernel": "5.9.16"}),
    "a minor release": ({"release": "rhel 9.4"}, {"releases": ["rhel 9", "debian"]}),
    "a full mount that is ignored": (
        {"file_systems": (ROOT, replace(ROOT, mount="/mnt/iso", free_kb=0))},
        {"ignored_mounts": ["/mnt/iso"]},
    ),
    "a read-only file system that is full": (
        {"file_systems": (ROOT, FileSystem("/image", "ext4", 10, 0, read_only=True))},
        {},
    ),
    "a mount that df may not look at, and that is ignored": (
        {"not_looked_at": ("/mnt/iso",)},
        {"ignored_mounts": ["/mnt/iso"]},
    ),
    "btrfs does not count inodes": ({"file_systems": (replace(ROOT, inodes=None, free_inodes=None),)}, {}),
    "a restart is pending, and may be": ({"reboot_pending": True}, {}),
    "exactly the limit": ({"file_systems": (replace(ROOT, free_kb=100),)}, {}),
}


@pytest.mark.parametrize(("changes", "require"), NEIGHBOURS.values(), ids=NEIGHBOURS)
def test_healthy_neighbours_pass(changes, require):
    assert judged(healthy(**changes), require=require).verdict is Verdict.PASS


def test_a_host_that_is_down_fails_where_others_answer():
    judgement = judged(fleet(machine(1), machine(2), machine(3), REFUSED))
    assert judgement.verdict is Verdict.FAIL
    assert judgement.reason == "host4: it refuses the connection"


def test_no_answer_at_all_is_as_likely_our_own_side():
    judgement = judged(fleet(REFUSED, REFUSED, REFUSED))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.reason.startswith(
        "host1, host2, host3: it refuses the connection; no server could be asked"
    )


@pytest.mark.parametrize("cause", [Cause.LOGIN, Cause.ROUTE, Cause.ANSWER])
def test_what_may_be_our_own_side_is_inconclusive(cause):
    judgement = judged(fleet(machine(1), machine(2), machine(3), Failure(cause, "not let in")))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.reason == "host4: not let in"


def test_forty_hosts_of_one_cause_are_one_sentence():
    down = [REFUSED] * 40
    judgement = judged(fleet(machine(1), machine(2), machine(3), *down, domains="abc" + "d" * 40))
    assert judgement.reason == "host4, host5, host6, host7, host8 and 35 more: it refuses the connection"


def test_a_quorum_lets_a_large_group_pass_with_a_note():
    measured = fleet(machine(1), machine(2), machine(3), REFUSED)
    assert judged(measured, quorum_percent=75).verdict is Verdict.PASS
    assert "host4" in " ".join(judged(measured, quorum_percent=75).notes)
    assert judged(measured, quorum_percent=76).verdict is Verdict.FAIL


def test_too_few_machines():
    judgement = judged(fleet(machine(1), machine(2)))
    assert judgement.verdict is Verdict.FAIL
    assert "2 distinct machines, at least 3 are required" in judgement.reason


def test_too_few_machines_answer_because_one_lets_us_not_in():
    assert judged(fleet(machine(1), machine(2), NO_KEY)).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("domains", "verdict"),
    [
        ("aab", Verdict.PASS),
        ("aaa", Verdict.FAIL),
        ("aa-", Verdict.INCONCLUSIVE),
        ("---", Verdict.INCONCLUSIVE),
    ],
)
def test_failure_domains(domains, verdict):
    assert judged(fleet(machine(1), machine(2), machine(3), domains=domains)).verdict is verdict


def test_servers_missing_from_the_inventory_are_counted():
    judgement = judged(healthy(), expected={"all": 4, "database": 3})
    assert judgement.verdict is Verdict.FAIL
    assert "servers in the inventory: 3, expected are 4" in judgement.reason


def test_the_same_instance_under_two_boot_ids():
    measured = fleet(machine(1), machine(2, instance_id="i-1"), machine(3, instance_id="i-1"))
    assert "the same instance (i-1)" in judged(measured).reason


def test_a_machine_id_that_cannot_be_read_is_said():
    """Alpine has none: nobody can tell whether such a host is a copy of another one."""
    judgement = judged(healthy(machine_id=None))
    assert judgement.verdict is Verdict.PASS
    assert judgement.notes == (
        "host3: no machine id can be read, so it is not known whether it is a copy of another server",
    )


NOTES = {
    "failed units: nginx.service": {"failed_units": ("nginx.service",)},
    "a disk is missing in md0": {"degraded_arrays": ("md0",)},
    "kernel 6.1.0-20-amd64 is installed, 6.1.0-18-amd64 runs": {"newest_kernel": "6.1.0-20-amd64"},
    "the kernel ended 2 processes for want of memory": {"out_of_memory_kills": 2},
}


@pytest.mark.parametrize(("says", "details"), NOTES.items(), ids=NOTES)
def test_what_people_should_look_at_is_a_note(says, details):
    judgement = judged(healthy(details=Details(**details)))
    assert judgement.verdict is Verdict.PASS
    assert judgement.notes[0].startswith(f"host3: {says}")


def test_a_clock_that_no_time_server_sets_is_a_note():
    judgement = judged(healthy(clock_synchronised=False))
    assert judgement.verdict is Verdict.PASS
    assert "not synchronised" in judgement.notes[0]


def test_the_limit_of_a_clock_can_be_moved():
    assert judged(
        healthy(clock=Offset(2.9, 3.1)), require={"clock_offset": timedelta(seconds=4)}
    ).verdict is (Verdict.PASS)


def test_a_failure_beside_what_is_unknown_says_both_apart():
    """A clock that is known too vaguely, and too few machines seen, are not judged in a failure of something else."""
    measured = fleet(
        machine(1, clock=Offset(-0.5, 1.5)), machine(2, not_mounted=("/data",)), NO_KEY, domains="aaa"
    )
    judgement = judged(measured)
    assert judgement.verdict is Verdict.FAIL
    undecided = {reading.name for reading in judgement.readings if reading.ok is None}
    assert undecided >= {"host1 clock offset", "distinct machines"}
