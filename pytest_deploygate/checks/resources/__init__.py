"""Resources: processors, memory, disks, handles, connections and queues are not used up, and will not be within a horizon."""

__all__ = ["judge", "probe"]
