"""The commands that tell the facts of a host, for `clients.host.asking`."""

from __future__ import annotations

CLOCK = "date -u +%s.%N"
#: Name of the fact and the command that prints it. `$T` ends a command that hangs.
COMMANDS = {
    "clock": CLOCK,
    "boot_id": "cat /proc/sys/kernel/random/boot_id",
    "machine_id": "line /etc/machine-id",
    "instance_id": "line /var/lib/cloud/data/instance-id || line /sys/class/dmi/id/product_uuid",
    "system": "set -- $(uname -s -n -r -m); echo $1",  # one process for four facts
    "hostname": "echo $2",
    "kernel": "echo $3",
    "architecture": "echo $4",
    "release": "cat /etc/os-release || cat /usr/lib/os-release",
    "cpus": "getconf _NPROCESSORS_ONLN || nproc",
    "cpu_limit": "line /sys/fs/cgroup/cpu.max",
    "memory": "cat /proc/meminfo",
    "memory_limit": "line /sys/fs/cgroup/memory.max",
    "space": "$T df -P -k; echo ended $?",
    "inodes": "$T df -P -i; echo ended $?",
    "mounts": "cat /proc/mounts",
    "devices": "cat /proc/self/mountinfo",
    "fstab": "cat /etc/fstab",
    "failed_mounts": (
        "[ -d /run/systemd/system ] && echo systemd && $T systemctl list-units --type=mount --state=failed --plain --no-legend && echo ."
    ),
    "synchronised": "[ -d /run/systemd/system ] && $T timedatectl show -p NTPSynchronized",
    "uptime": "line /proc/uptime",
    "reboot": (
        "if [ -e /run/reboot-required ] || [ -e /var/run/reboot-required ]; then echo yes; "
        "elif command -v needs-restarting >/dev/null; then $T needs-restarting -r >/dev/null; "
        "case $? in 0) echo no;; 1) echo yes;; esac; "
        "elif [ -e /etc/debian_version ]; then echo no; fi"
    ),
    # What has no limit, and is in the evidence.
    "login": "id -un",
    "init": "line /proc/1/comm",
    "processor": "grep -m1 -E '^(model name|Model|Processor)' /proc/cpuinfo",
    "virtualisation": "systemd-detect-virt || line /sys/class/dmi/id/product_name",
    "cgroup": "if [ -e /sys/fs/cgroup/cgroup.controllers ]; then echo v2; elif [ -d /sys/fs/cgroup ]; then echo v1; fi",
    "kernels": "ls /lib/modules",
    "load": "line /proc/loadavg",
    "pressure": "cat /proc/pressure/cpu /proc/pressure/memory /proc/pressure/io",
    "vmstat": "grep ^oom_kill /proc/vmstat",
    "open_files": "cat /proc/sys/fs/file-nr",
    "open_files_limit": "echo $(ulimit -Sn) of $(ulimit -Hn)",
    # Those that listen and those that are established. `ss` asks the kernel more cheaply than /proc/net/tcp, which has the
    # states as numbers. Source: include/net/tcp_states.h.
    "sockets": (
        "if command -v ss >/dev/null; then ss -Htan; elif [ -r /proc/net/tcp ]; then cat /proc/net/tcp /proc/net/tcp6; "
        'else echo none; fi | awk \'$1 != "none" {a[$1]++; b[$4]++; s = 1} END '
        '{if (s) print a["LISTEN"] + b["0A"] + 0, a["ESTAB"] + b["01"] + 0}\''
    ),
    "conntrack": "cat /proc/sys/net/netfilter/nf_conntrack_count /proc/sys/net/netfilter/nf_conntrack_max",
    "addresses": "ip -o address || ifconfig",
    "default_route": "ip route show default || route -n | grep ^0.0.0.0",
    "name_servers": "grep ^nameserver /etc/resolv.conf",
    "time_zone": "date '+%Z %z'",
    "packages": (
        "if command -v dpkg-query >/dev/null; then dpkg-query -W -f '\\n' | wc -l; "
        "elif command -v rpm >/dev/null; then $T rpm -qa | wc -l; elif command -v apk >/dev/null; then apk info | wc -l; fi"
    ),
    "failed_units": (
        "[ -d /run/systemd/system ] && echo systemd && $T systemctl list-units --state=failed --plain --no-legend && echo ."
    ),
    "arrays": "cat /proc/mdstat && echo .",
    "security_module": (
        "if command -v getenforce >/dev/null; then echo selinux $(getenforce); "
        "elif [ -e /sys/module/apparmor/parameters/enabled ]; then echo apparmor $(cat /sys/module/apparmor/parameters/enabled); "
        "else cat /sys/kernel/security/lsm; fi"
    ),
    "sshd": (
        "$T sshd -T | grep -E '^(permitrootlogin|passwordauthentication|kbdinteractiveauthentication|permitemptypasswords"
        "|pubkeyauthentication|allowtcpforwarding|x11forwarding|maxstartups|allowusers|allowgroups) '"
    ),
    "accounts": "grep -E '^[^:]*:[^:]*:0:' /etc/passwd",
    "logged_in": "who >/dev/null && who | wc -l",
    "kernel_settings": (
        "cd /proc/sys && grep . vm/swappiness vm/overcommit_memory vm/max_map_count net/core/somaxconn "
        "net/ipv4/ip_local_port_range net/ipv4/tcp_max_syn_backlog kernel/pid_max fs/file-max fs/aio-max-nr"
    ),
    "huge_pages": "line /sys/kernel/mm/transparent_hugepage/enabled",
    "clock_after": CLOCK,
}
