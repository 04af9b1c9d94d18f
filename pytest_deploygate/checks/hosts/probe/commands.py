"""The commands that tell the facts of a host, for `clients.host.asking`.

A process costs a host more than what most of them print, so files are read together, and the shell does what it can.
"""

from __future__ import annotations

from pytest_deploygate.clients.host.batch import Lines

CLOCK = "date -u +%s.%N"
#: Settings of the kernel that are in the evidence: files in /proc/sys.
KERNEL_SETTINGS = (
    "vm/swappiness", "vm/overcommit_memory", "vm/max_map_count", "net/core/somaxconn", "net/ipv4/ip_local_port_range",
    "net/ipv4/tcp_max_syn_backlog", "kernel/pid_max", "fs/file-max", "fs/aio-max-nr",
)  # fmt: skip
_PRESSURE = ("/proc/pressure/cpu", "/proc/pressure/memory", "/proc/pressure/io")
_CONNTRACK = (
    "/proc/sys/net/netfilter/nf_conntrack_count",
    "/proc/sys/net/netfilter/nf_conntrack_max",
)
#: Name of the fact and the command that prints it, or the files that have it. `$T` ends a command that hangs.
COMMANDS: dict[str, str | Lines] = {
    "clock": "date '+%s.%N %Z %z'",
    "instance_id": "line /var/lib/cloud/data/instance-id || line /sys/class/dmi/id/product_uuid",
    "system": "set -- $(uname -s -n -r -m); echo $1",  # one process for four facts
    "hostname": "echo $2",
    "kernel": "echo $3",
    "architecture": "echo $4",
    "boot_id": Lines(("/proc/sys/kernel/random/boot_id",)),
    "machine_id": Lines(("/etc/machine-id",)),
    "release": Lines(("/usr/lib/os-release", "/etc/os-release"), "^(ID|VERSION_ID)="),  # the last one counts
    "cpus_online": Lines(("/sys/devices/system/cpu/online",)),
    "cpus": "[ -r /sys/devices/system/cpu/online ] || getconf _NPROCESSORS_ONLN || nproc",
    "cpu_limit": Lines(("/sys/fs/cgroup/cpu.max",)),
    "memory": Lines(("/proc/meminfo",), "^(MemTotal|MemAvailable|SwapTotal|SwapFree):"),
    "memory_limit": Lines(("/sys/fs/cgroup/memory.max",)),
    "space": "$T df -P -k; echo ended $?",
    "inodes": "$T df -P -i; echo ended $?",
    "mounts": Lines(("/proc/mounts",)),
    "devices": Lines(("/proc/self/mountinfo",)),
    "fstab": Lines(("/etc/fstab",)),
    "failed_mounts": (
        "[ -d /run/systemd/system ] && echo systemd && $T systemctl list-units --type=mount --state=failed --plain --no-legend && echo ."
    ),
    "synchronised": "[ -d /run/systemd/system ] && $T timedatectl show -p NTPSynchronized",
    "uptime": Lines(("/proc/uptime",)),
    "reboot": (
        "if [ -e /run/reboot-required ] || [ -e /var/run/reboot-required ]; then echo yes; "
        "elif command -v needs-restarting >/dev/null; then $T needs-restarting -r >/dev/null; "
        "case $? in 0) echo no;; 1) echo yes;; esac; "
        "elif [ -e /etc/debian_version ]; then echo no; fi"
    ),
    # What has no limit, and is in the evidence.
    "login": "id -un",
    "init": Lines(("/proc/1/comm",)),
    "processor": Lines(("/proc/cpuinfo",), "^(model name|Model|Processor)", first=True),
    "virtualisation": (
        "if [ -e /.dockerenv ]; then echo docker; elif [ -e /run/.containerenv ]; then echo podman; else "
        "line /run/systemd/container || line /sys/hypervisor/type || line /sys/class/dmi/id/product_name || "
        "systemd-detect-virt; fi"
    ),
    "cgroup": "if [ -e /sys/fs/cgroup/cgroup.controllers ]; then echo v2; elif [ -d /sys/fs/cgroup ]; then echo v1; fi",
    "kernels": "cd /lib/modules && echo *; cd /",
    "load": Lines(("/proc/loadavg",)),
    "pressure": Lines(_PRESSURE, "^some "),
    "vmstat": Lines(("/proc/vmstat",), "^oom_kill ", first=True),
    "open_files": Lines(("/proc/sys/fs/file-nr",)),
    "open_files_limit": "echo $(ulimit -Sn) of $(ulimit -Hn)",
    # `ss` asks the kernel for those that listen only; in /proc/net/tcp they have the state 0A. The established ones may be
    # many, and the kernel has their number. Source: include/net/tcp_states.h, RFC 4022 (tcpCurrEstab).
    "listening": (
        "if command -v ss >/dev/null; then ss -Htln && echo .; "
        "else cat /proc/net/tcp /proc/net/tcp6 | grep -E 'local_address| 0A '; fi"
    ),
    "connections": Lines(("/proc/net/snmp",), "^Tcp:", first=True),
    "conntrack": Lines(_CONNTRACK),
    "addresses": "ip -o address || ifconfig",
    "default_route": "ip route show default || route -n | grep ^0.0.0.0",
    "name_servers": Lines(("/etc/resolv.conf",), "^nameserver"),
    # dpkg has a list of each package's files, which is found sooner than dpkg-query starts.
    "packages": (
        'set -- /var/lib/dpkg/info/*.list; if [ -e "$1" ]; then echo $#; elif command -v rpm >/dev/null; then $T rpm -qa | wc -l; '
        "elif command -v apk >/dev/null; then apk info | wc -l; fi"
    ),
    "failed_units": (
        "[ -d /run/systemd/system ] && echo systemd && $T systemctl list-units --state=failed --plain --no-legend && echo ."
    ),
    "arrays": Lines(("/proc/mdstat",)),
    "security_module": (
        "if command -v getenforce >/dev/null; then echo selinux $(getenforce); "
        "elif [ -e /sys/module/apparmor/parameters/enabled ]; then printf 'apparmor '; line /sys/module/apparmor/parameters/enabled; "
        "else line /sys/kernel/security/lsm; fi"
    ),
    # As its files have it: what `sshd -T` makes of them takes a fifth of the script's time, and root.
    "sshd": "cat /etc/ssh/sshd_config.d/*.conf /etc/ssh/sshd_config",
    "accounts": Lines(("/etc/passwd",), "^[^:]*:[^:]*:0:"),
    "logged_in": "who && echo .",
    "huge_pages": Lines(("/sys/kernel/mm/transparent_hugepage/enabled",)),
    **{name: Lines((f"/proc/sys/{name}",)) for name in KERNEL_SETTINGS},
    "clock_after": CLOCK,
}
