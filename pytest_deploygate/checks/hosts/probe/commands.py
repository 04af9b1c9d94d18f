"""The commands that tell the facts of a host, for `clients.host.asking`."""

from __future__ import annotations

CLOCK = "date -u +%s.%N"
#: Name of the fact and the command that prints it. `$T` ends a command that hangs.
COMMANDS = {
    "clock": CLOCK,
    "boot_id": "cat /proc/sys/kernel/random/boot_id",
    "machine_id": "cat /etc/machine-id",
    "instance_id": "cat /var/lib/cloud/data/instance-id || cat /sys/class/dmi/id/product_uuid",
    "hostname": "uname -n",
    "system": "uname -s",
    "kernel": "uname -r",
    "release": "cat /etc/os-release || cat /usr/lib/os-release",
    "cpus": "getconf _NPROCESSORS_ONLN || nproc",
    "cpu_limit": "cat /sys/fs/cgroup/cpu.max",
    "memory": "cat /proc/meminfo",
    "memory_limit": "cat /sys/fs/cgroup/memory.max",
    "space": "$T df -P -k; echo ended $?",
    "inodes": "$T df -P -i; echo ended $?",
    "mounts": "cat /proc/mounts",
    "fstab": "cat /etc/fstab",
    "failed_mounts": (
        "[ -d /run/systemd/system ] && echo systemd && $T systemctl list-units --type=mount --state=failed --plain --no-legend && echo ."
    ),
    "synchronised": "[ -d /run/systemd/system ] && $T timedatectl show -p NTPSynchronized",
    "uptime": "cat /proc/uptime",
    "reboot": (
        "if [ -e /run/reboot-required ] || [ -e /var/run/reboot-required ]; then echo yes; "
        "elif command -v needs-restarting >/dev/null; then $T needs-restarting -r >/dev/null; "
        "case $? in 0) echo no;; 1) echo yes;; esac; "
        "elif [ -e /etc/debian_version ]; then echo no; fi"
    ),
    "clock_after": CLOCK,
}
