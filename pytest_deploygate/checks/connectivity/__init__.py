"""Which services each host of the platform reaches: by name, TCP, TLS and first byte, in time, with packets of full size."""

__all__ = ["judge", "probe"]
