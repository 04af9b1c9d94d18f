"""The kinds of resources, by the metric names of the usual exporters.

`used` or `free`, and `limit`, are PromQL in which `last(NAME{…})` is a gauge and `rate(NAME{…})` a counter's growth per
second. The labels that the inventory gives are added to each.
"""

from collections.abc import Mapping
from typing import Literal

from pytest_deploygate.lazy import dataclass

KindName = Literal[
    "disk",
    "inodes",
    "volume",
    "volume-inodes",
    "memory",
    "container-memory",
    "cpu",
    "container-cpu",
    "throttling",
    "cpu-pressure",
    "memory-pressure",
    "io-pressure",
    "file-handles",
    "host-file-handles",
    "container-file-handles",
    "conntrack",
    "connections",
    "sockets",
    "pool-queue",
]


@dataclass(frozen=True)
class Event:
    """What must not happen at all. `rises`: the counter must not grow; otherwise the gauge must not be 1.

    `hides`: while it happens there are no samples, so the resource is unknown.
    """

    metric: str
    what: str
    rises: bool = False
    hides: bool = False


@dataclass(frozen=True)
class Kind:
    """How a kind of resource is measured and judged.

    Exactly one of `used` and `free` is set. Without a `limit` the inventory gives one. `most` is how many per cent may be
    used now. `trend`: it can grow until it is used up. `brief`: using all of it for a moment does no harm. `replaced`: its
    series end in normal operation, as those of containers do. `bounded`: something without a limit of its own takes from
    others, so its limit must be known. `share` says of what the per cent are, where the limit is no quantity of its own.
    """

    unit: str
    next_step: str
    used: str = ""
    free: str = ""
    limit: str = ""
    labels: str = ""
    most: float = 90.0
    trend: bool = True
    brief: bool = False
    replaced: bool = False
    bounded: bool = False
    share: str = ""
    events: tuple[Event, ...] = ()


#: File systems that are full by design.
_REAL = 'fstype!~"tmpfs|ramfs|overlay|squashfs|iso9660|erofs"'
_DISK_EVENTS = (
    Event("node_filesystem_readonly", "is mounted read-only"),
    Event("node_filesystem_device_error", "cannot be read by the exporter", hides=True),
)
#: The containers themselves: neither the sums of a pod nor what only holds its network.
_CONTAINERS = 'image!="",container!="POD"'
_OWN_BOUND = "give it a limit, or more of it, or find what uses it"

KINDS: Mapping[str, Kind] = {
    "disk": Kind(
        "bytes",
        "free space or extend the disk, and find what writes",
        free="last(node_filesystem_avail_bytes)",
        limit="last(node_filesystem_size_bytes)",
        labels=_REAL,
        events=_DISK_EVENTS,
    ),
    "inodes": Kind(
        "inodes",
        "remove small files, or make the file system anew with more inodes",
        free="last(node_filesystem_files_free)",
        limit="last(node_filesystem_files)",
        labels=_REAL,
    ),
    "volume": Kind(
        "bytes",
        "free space or extend the volume, and find what writes",
        used="last(kubelet_volume_stats_used_bytes)",
        limit="last(kubelet_volume_stats_capacity_bytes)",
        replaced=True,
    ),
    "volume-inodes": Kind(
        "inodes",
        "remove small files, or make the volume anew with more inodes",
        used="last(kubelet_volume_stats_inodes_used)",
        limit="last(kubelet_volume_stats_inodes)",
        replaced=True,
    ),
    "memory": Kind(
        "bytes",
        "find the process that grows, or add memory",
        free="last(node_memory_MemAvailable_bytes)",
        limit="last(node_memory_MemTotal_bytes)",
        events=(Event("node_vmstat_oom_kill", "ran out of memory", rises=True),),
    ),
    "container-memory": Kind(
        "bytes",
        "find the leak, or raise the container's limit",
        used="last(container_memory_working_set_bytes)",
        limit="last(container_spec_memory_limit_bytes)",
        labels=_CONTAINERS,
        replaced=True,
        bounded=True,
        events=(Event("container_oom_events_total", "ran out of memory", rises=True),),
    ),
    "cpu": Kind(
        "cores",
        "find the process that needs them, or add processors",
        free='sum without (cpu, mode) (rate(node_cpu_seconds_total{mode="idle"}))',
        limit='count without (cpu, mode) (rate(node_cpu_seconds_total{mode="idle"}))',
        trend=False,
        brief=True,
    ),
    "container-cpu": Kind(
        "cores",
        "find what needs them, or raise the container's limit",
        used="sum without (cpu) (rate(container_cpu_usage_seconds_total))",
        limit="last(container_spec_cpu_quota) / last(container_spec_cpu_period)",
        trend=False,
        brief=True,
        labels=_CONTAINERS,
        replaced=True,
        bounded=True,
    ),
    "throttling": Kind(
        "periods/s",
        "raise the container's CPU limit, or lower what it does at once",
        used="rate(container_cpu_cfs_throttled_periods_total)",
        limit="rate(container_cpu_cfs_periods_total)",
        most=10.0,
        trend=False,
        brief=True,
        labels=_CONTAINERS,
        replaced=True,
        share="of its periods were throttled",
    ),
    "cpu-pressure": Kind(
        "s/s",
        "find what competes for the processors",
        used="rate(node_pressure_cpu_waiting_seconds_total)",
        limit="1",
        most=25.0,
        trend=False,
        brief=True,
        share="of the time something waited for a processor",
    ),
    "memory-pressure": Kind(
        "s/s",
        "find what needs the memory, or add some",
        used="rate(node_pressure_memory_waiting_seconds_total)",
        limit="1",
        most=10.0,
        trend=False,
        brief=True,
        share="of the time something waited for memory",
    ),
    "io-pressure": Kind(
        "s/s",
        "find what reads or writes so much, or take faster disks",
        used="rate(node_pressure_io_waiting_seconds_total)",
        limit="1",
        most=25.0,
        trend=False,
        brief=True,
        share="of the time something waited for a disk",
    ),
    "file-handles": Kind(
        "handles",
        "find what is opened and never closed, or raise the limit (`LimitNOFILE`)",
        used="last(process_open_fds)",
        limit="last(process_max_fds)",
    ),
    "host-file-handles": Kind(
        "handles",
        "find what is opened and never closed, or raise `fs.file-max`",
        used="last(node_filefd_allocated)",
        limit="last(node_filefd_maximum)",
    ),
    "container-file-handles": Kind(
        "handles",
        "find what is opened and never closed, or raise the container's ulimit",
        used="last(container_file_descriptors)",
        limit='sum without (ulimit) (last(container_ulimits_soft{ulimit="max_open_files"}))',
        labels=_CONTAINERS,
        replaced=True,
    ),
    "conntrack": Kind(
        "entries",
        "find who opens so many connections, or raise `net.netfilter.nf_conntrack_max`",
        used="last(node_nf_conntrack_entries)",
        limit="last(node_nf_conntrack_entries_limit)",
    ),
    "connections": Kind(
        "connections",
        "find who holds them, put a pooler in front, or raise max_connections",
        used="sum without (datname, state, usename, application_name, backend_type, wait_event, wait_event_type)"
        " (last(pg_stat_activity_count))",
        limit="last(pg_settings_max_connections) - last(pg_settings_superuser_reserved_connections)",
    ),
    "sockets": Kind("sockets", _OWN_BOUND, used="last(node_sockstat_sockets_used)"),
    "pool-queue": Kind(
        "waiting",
        "find what holds the pool's connections, or make the pool larger",
        used="last(pgbouncer_pools_client_waiting_connections)",
        trend=False,
    ),
}
#: What the inventory names with series of its own.
OWN = Kind("", _OWN_BOUND)
