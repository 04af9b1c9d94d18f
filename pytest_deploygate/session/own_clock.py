"""The kernel's estimate of this host's clock error (adjtimex(2)); no network query."""

from __future__ import annotations

import ctypes
import sys

from pytest_deploygate.lazy import dataclass

_UNSYNCHRONISED, _NANOSECONDS = 0x0040, 0x2000
#: From the size of struct timex on Linux, rounded up: the kernel writes all of it.
_REST = 256


@dataclass(frozen=True)
class OwnClock:
    """The kernel's values. All are None if the call is not available (not Linux, or a sandbox)."""

    synchronised: bool | None = None
    offset_s: float | None = None
    max_error_s: float | None = None


class _Timex(ctypes.Structure):
    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * _REST),
    )


def read() -> OwnClock:
    """Return the kernel's estimate; `modes` 0 only reads, no privilege is needed."""
    if not sys.platform.startswith("linux"):
        return OwnClock()
    seen = _Timex(modes=0)
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(seen))
    except (OSError, AttributeError):
        return OwnClock()
    if state < 0:
        return OwnClock()
    unit = 1e-9 if seen.status & _NANOSECONDS else 1e-6
    return OwnClock(
        synchronised=not seen.status & _UNSYNCHRONISED,
        offset_s=round(seen.offset * unit, 9),
        max_error_s=round(seen.maxerror * 1e-6, 6),
    )
