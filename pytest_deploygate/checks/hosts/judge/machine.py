"""Judge one server against what each must be like. What it could not tell is unknown, by name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_deploygate.checks.hosts.facts import Answer, FileSystem, Machine
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.judging.silent_hosts import listed
from pytest_deploygate.model import Reading

if TYPE_CHECKING:
    from pytest_deploygate.checks.hosts.section import Requirements

_KB = 1024
_GB = 1024**3


def judge(answer: Answer, require: Requirements, found: Collector) -> None:
    """Add what is wrong with, or unknown of, one server."""
    machine = answer.machine
    if machine is None:
        return
    _resources(answer.name, machine, require, found)
    _system(answer.name, machine, require, found)
    _file_systems(answer.name, machine, require, found)
    _clock(answer.name, machine, require, found)
    _start(answer.name, machine, require, found)
    _worth_a_note(answer.name, machine, found)


def _unknown(name: str, what: str, found: Collector) -> None:
    found.unknown(f"{what} cannot be read there", where=name)


def _resources(name: str, machine: Machine, require: Requirements, found: Collector) -> None:
    if require.cpus is not None:
        if machine.cpus is None:
            _unknown(name, "the number of processors", found)
        else:
            ok = machine.cpus >= require.cpus
            found.read(Reading(f"{name} processors", machine.cpus, limit=f"at least {require.cpus}", ok=ok))
            if not ok:
                found.wrong(f"{machine.cpus} processors, at least {require.cpus} are required", where=name)
    if require.memory is not None:
        if machine.memory_kb is None:
            _unknown(name, "the memory", found)
        else:
            have, need = machine.memory_kb * _KB / _GB, require.memory / _GB
            ok = machine.memory_kb * _KB >= require.memory
            found.read(Reading(f"{name} memory", round(have, 2), "GiB", f"at least {need:.4g} GiB", ok))
            if not ok:
                found.wrong(f"{have:.2f} GiB of memory, at least {need:.4g} GiB are required", where=name)


def _system(name: str, machine: Machine, require: Requirements, found: Collector) -> None:
    if require.kernel is not None:
        have = _version(machine.kernel)
        if have is None:
            _unknown(name, "the kernel's version", found)
        else:
            ok = have >= _padded(require.kernel, len(have))
            limit = f"at least {require.kernel}"
            found.read(Reading(f"{name} kernel", machine.kernel or "", limit=limit, ok=ok))
            if not ok:
                found.wrong(f"kernel {machine.kernel}, {limit} is required", where=name)
    if require.releases:
        if machine.release is None:
            _unknown(name, "the operating system's release", found)
        else:
            ok = any(_same_release(machine.release, allowed) for allowed in require.releases)
            allowed = ", ".join(require.releases)
            found.read(Reading(f"{name} release", machine.release, limit=f"one of {allowed}", ok=ok))
            if not ok:
                found.wrong(f"runs {machine.release}, allowed are {allowed}", where=name)


def _version(text: str | None) -> tuple[int, ...] | None:
    read = re.match(r"\d+(\.\d+)*", text or "")
    return tuple(map(int, read[0].split("."))) if read else None


def _padded(text: str, least: int) -> tuple[int, ...]:
    numbers = tuple(map(int, text.split(".")))
    return numbers + (0,) * (least - len(numbers))


def _same_release(have: str, allowed: str) -> bool:
    """`rhel 9` allows `rhel 9.4`, and `debian` each of its versions."""
    return have == allowed or have.startswith((f"{allowed} ", f"{allowed}."))


def _file_systems(name: str, machine: Machine, require: Requirements, found: Collector) -> None:
    if machine.file_systems is None:
        _unknown(name, "the space of the file systems", found)
    judged = [each for each in machine.file_systems or () if each.mount not in require.ignored_mounts]
    if machine.file_systems is not None and not judged:
        _unknown(name, "the space of any file system", found)
    if judged and not machine.inodes_told:
        _unknown(name, "how many inodes are free", found)
    if machine.systemd_silent:
        _unknown(name, "which mounts systemd failed to make", found)
    hidden = [mount for mount in machine.not_looked_at if mount not in require.ignored_mounts]
    if hidden:
        found.unknown(
            f"the space of {listed(hidden)} cannot be read there: set `run_as` to a user who may look at it, or add it to "
            "`ignored_mounts`",
            where=name,
        )
    if judged:
        _least(name, judged, require, found)
    for each in judged:
        if each.read_only and each.writable_by_fstab:
            found.wrong(
                f"{each.mount} is read-only, /etc/fstab asks for a writable one: look for errors of the disk in dmesg",
                where=name,
            )
    missing = {*(machine.not_mounted or ()), *(machine.failed_mounts or ())} - set(require.ignored_mounts)
    if missing:
        found.wrong(
            f"not mounted: {', '.join(sorted(missing))}; run `mount -a` and read its errors", where=name
        )


def _least(name: str, judged: list[FileSystem], require: Requirements, found: Collector) -> None:
    """Judge space and inodes; the reading is the least of each. A read-only one is full by nature."""
    for what, limit, shares in (
        ("space", require.free_disk_percent, [(e.free_percent, e.mount) for e in judged if not e.read_only]),
        (
            "inodes",
            require.free_inodes_percent,
            [
                (free, e.mount)
                for e in judged
                if not e.read_only and (free := e.free_inodes_percent) is not None
            ],
        ),
    ):
        if not shares:
            continue
        least, mount = min(shares)
        found.read(
            Reading(
                f"{name} free {what} ({mount})", round(least, 1), "%", f"at least {limit:g} %", least >= limit
            )
        )
        for free, where in shares:
            if free < limit:
                found.wrong(
                    f"{where} has {free:.1f} % free {what}, at least {limit:g} % are required", where=name
                )


def _clock(name: str, machine: Machine, require: Requirements, found: Collector) -> None:
    """Judge the bounds of the offset: only if they are on one side of the limit is it known."""
    limit = require.clock_offset.total_seconds()
    if machine.clock is None:
        _unknown(name, "the clock", found)
        return
    offset = machine.clock
    inside = -limit <= offset.low_s and offset.high_s <= limit
    outside = offset.low_s > limit or offset.high_s < -limit
    ok = True if inside else False if outside else None
    # What is not judged has no limit beside it.
    limited = "" if ok is None else f"within {limit:g} s of ours"
    found.read(Reading(f"{name} clock offset", round(offset.middle_s, 3), "s", limited, ok))
    if outside:
        side = "ahead of" if offset.middle_s > 0 else "behind"
        found.wrong(
            f"its clock is {abs(offset.middle_s):.2f} s {side} ours (within {offset.within_s:.2f} s), allowed are {limit:g} "
            "s: check its time service, then this machine's",
            where=name,
        )
    elif not inside:
        found.unknown(
            f"its clock is {offset.middle_s:+.2f} s from ours, known only within {offset.within_s:.2f} s, and allowed are "
            f"{limit:g} s: the answer took too long; ask again",
            where=name,
        )
    elif machine.clock_synchronised is False:
        found.note("its clock is not synchronised with a time server (timedatectl)", where=name)


def _start(name: str, machine: Machine, require: Requirements, found: Collector) -> None:
    if require.time_since_boot is not None:
        limit = require.time_since_boot.total_seconds()
        if machine.since_boot_s is None:
            _unknown(name, "the time since its start", found)
        else:
            ok = machine.since_boot_s >= limit
            found.read(
                Reading(
                    f"{name} time since start", round(machine.since_boot_s), "s", f"at least {limit:g} s", ok
                )
            )
            if not ok:
                found.wrong(
                    f"it started {machine.since_boot_s / 60:.0f} min ago, at least {limit / 60:.0f} min are required: find "
                    "out why it restarted (`last -x reboot`)",
                    where=name,
                )
    if machine.reboot_pending is None and not require.reboot_pending:
        _unknown(name, "whether a restart is pending", found)
    elif machine.reboot_pending:
        text = "a restart is pending (updated packages wait for it)"
        if require.reboot_pending:
            found.note(text, where=name)
        else:
            found.wrong(f"{text}: restart it before the migration", where=name)


def _worth_a_note(name: str, machine: Machine, found: Collector) -> None:
    """Add what people should look at although the section has no limit for it."""
    told = machine.details
    if told.failed_units:
        found.note(f"failed units: {listed(told.failed_units)} (`systemctl --failed`)", where=name)
    if told.degraded_arrays:
        found.note(
            f"a disk is missing in {listed(told.degraded_arrays)} (`cat /proc/mdstat`): replace it",
            where=name,
        )
    if machine.kernel and told.newest_kernel and machine.kernel != told.newest_kernel:
        found.note(f"kernel {told.newest_kernel} is installed, {machine.kernel} runs", where=name)
    if told.out_of_memory_kills:
        found.note(
            f"the kernel ended {told.out_of_memory_kills} processes for want of memory since the start (`dmesg`)",
            where=name,
        )
