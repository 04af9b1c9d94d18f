"""What the gate's own side could not reach, and which places were silent in this run.

An address that takes connections and never answers, or that drops them, costs its timeout once: the first attempt is
remembered for everything that asks there later. Only what waits for a change (a drill, a switch) asks again.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from pytest_deploygate.clients.shared_silences import SharedSilences
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.redaction import redact

#: A failure that came sooner costs nothing: it is not remembered, because a service that restarts is back soon.
_HUNG_S = 1.0
#: A run may last for hours: after this time a silent place is tried once more.
REMEMBERED_S = 300.0

#: Errors of a connection that never left our side, or that the network between us and the target returned.
_OURS = {
    errno.ENETUNREACH: "no route from here",
    errno.EHOSTUNREACH: "no route from here",
    errno.ENETDOWN: "the network is down here",
    errno.EADDRNOTAVAIL: "no local address or port is free",
    errno.EAFNOSUPPORT: "this host has no such protocol (IPv4 or IPv6)",
    errno.EPERM: "a firewall here forbids it",
    errno.EACCES: "a firewall here forbids it",
    errno.EMFILE: "too many open files here",
    errno.ENFILE: "too many open files here",
    errno.ENOBUFS: "no memory for connections here",
}
_UNRESOLVED = "its name does not resolve here"
#: The same in the words of libpq, ssh, redis and others, whose errors are texts.
_WORDS = (
    (
        re.compile(
            r"could not resolve host|name or service not known|temporary failure in name resolution"
            r"|no address associated with host|nodename nor servname|could not translate host name"
            r"|failed to resolve host|name does not resolve|name resolution",
            re.IGNORECASE,
        ),
        _UNRESOLVED,
    ),
    (
        re.compile(r"network is unreachable|no route to host|host is unreachable", re.IGNORECASE),
        "no route from here",
    ),
    (re.compile(r"cannot assign requested address", re.IGNORECASE), "no local address or port is free"),
    (re.compile(r"too many open files", re.IGNORECASE), "too many open files here"),
)
_NO_ANSWER = re.compile(r"timed out|timeout expired|connection timeout", re.IGNORECASE)


def why_ours(error: BaseException) -> str:
    """Return why an attempt failed on our own side (name, route, local limit); empty if the other side refused or failed.

    An error of TLS is the other side's answer. Its number is OpenSSL's own, and 1 would be read as EPERM.
    """
    tls = sys.modules.get("ssl")  # not imported here for its weight; without it there are no such errors
    if tls is not None and any(isinstance(each, tls.SSLError) for each in _chain(error)):
        return ""
    for each in _chain(error):
        if isinstance(each, socket.gaierror | UnicodeError):
            return _UNRESOLVED
        if isinstance(each, OSError) and each.errno in _OURS:
            return f"{_OURS[each.errno]}: {os.strerror(each.errno)}"
    return ""


def host_gone(error: BaseException) -> bool:
    """Return whether the network said that the host is not there: it may be down, or a firewall keeps us out."""
    return any(isinstance(each, OSError) and each.errno == errno.EHOSTUNREACH for each in _chain(error))


def refused(error: BaseException) -> bool:
    """Return whether the other side refused the connection: its host answers, and nothing listens there."""
    return any(isinstance(each, ConnectionRefusedError) for each in _chain(error))


def why_ours_in(said: str) -> str:
    """Return the same from the text of an error, for clients that give no more."""
    return next((why for words, why in _WORDS if words.search(said)), "")


def no_answer_in(said: str) -> bool:
    """Return whether an error's text says that nothing answered in time."""
    return bool(_NO_ANSWER.search(said))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what caused it; `requests` and `urllib3` keep causes in `reason` and `args`."""
    found, left = set[int](), [error]
    while left:
        each = left.pop(0)
        if id(each) in found:
            continue
        found.add(id(each))
        yield each
        inner = (each.__cause__, each.__context__, getattr(each, "reason", None), *each.args)
        left += [one for one in inner if isinstance(one, BaseException)]


@dataclass(frozen=True)
class Silence:
    """A place that did not answer: what was seen when, and which item's test asked (empty outside of a test)."""

    place: str
    said: str
    at: datetime
    item: str

    def __str__(self) -> str:
        return f"{self.place}: {self.said}{self.when}"

    @property
    def when(self) -> str:
        """When it was tried, and for which item, in brackets."""
        by = f" by {self.item}" if self.item else ""
        return f" (tried{by} at {self.at:%H:%M:%S} UTC and not again in this run)"


class Silent(TimeoutError):  # noqa: N818 (it is an answer, not an error)
    """Raised instead of waiting again for a place that was silent before in this run; its text says what was seen then."""


@dataclass(frozen=True)
class _Kept:
    silence: Silence
    until: float


_kept: dict[str, _Kept] = {}
_heard: set[str] = set()
_turns: dict[str, threading.RLock] = {}
_guard = threading.Lock()
_item = ""
#: What the other workers of this run see; None if the run has one process.
_shared: SharedSilences | None = None


def begin() -> None:
    """Forget everything: a new run."""
    with _guard:
        _kept.clear()
        _heard.clear()
        _turns.clear()
        _share(None)
    asking("")


def share(path: Path) -> None:
    """Have one memory of silent places with the other processes of this run that call this with the same file.

    What each of them heard stays its own. Those that try a place for the first time at the same moment do not wait for each
    other. Nothing is shared if the file cannot be opened: then each process waits for itself.
    """
    with _guard, contextlib.suppress(OSError):
        _share(SharedSilences(path))


def _share(file: SharedSilences | None) -> None:
    global _shared  # noqa: PLW0603 (one run at a time in a process)
    if _shared is not None:
        _shared.close()
    _shared = file


def asking(item: str) -> None:
    """Say which item's test runs now, for what later tests report of its attempts."""
    global _item  # noqa: PLW0603 (one test runs at a time in a process; its threads must see it)
    _item = item


def addresses(host: str, port: int) -> tuple[str, ...]:
    """Return all addresses of a name. Raises OSError (socket.gaierror) if it does not resolve."""
    with attempt(f"the name {host}"):
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def at(host: str, port: int | str) -> str:
    """Return the name of a place."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def silent(place: str, said: str) -> None:
    """Remember that a place did not answer."""
    kept = _Kept(Silence(place, said, datetime.now(UTC), _item), time.monotonic() + REMEMBERED_S)
    with _guard:
        _kept[place] = kept
        if _shared is not None:
            at = kept.silence.at.isoformat()
            _shared.tell({"place": place, "said": redact(said), "at": at, "item": _item, "until": kept.until})


def heard(place: str) -> None:
    """Remember that a place answered."""
    with _guard:
        _heard.add(place)
        if _kept.pop(place, None) and _shared is not None:
            _shared.tell({"place": place})


def was_heard(place: str) -> bool:
    """Return whether a place has answered in this run."""
    return place in _heard


def known(place: str) -> Silence | None:
    """Return what was seen of a place that did not answer lately; None if it may be tried."""
    if _shared is not None:
        _learn(_shared)
    kept = _kept.get(place)
    return kept.silence if kept and time.monotonic() < kept.until else None


def _learn(shared: SharedSilences) -> None:
    """Take over what the other processes saw. The monotonic clock is the same for all processes of a host."""
    with _guard:
        for line in shared.news():
            place = line["place"]
            if "said" in line:
                silence = Silence(place, line["said"], datetime.fromisoformat(line["at"]), line["item"])
                _kept[place] = _Kept(silence, line["until"])
            else:
                _kept.pop(place, None)


@contextlib.contextmanager
def attempt(place: str) -> Iterator[None]:
    """Try a place for the first time, or again: raises Silent if it is known to be silent.

    A timeout of the block is remembered, and so is any other OSError that took long: the next attempt raises at once.
    Attempts at one place take turns until it was heard: those that wait learn from the first.
    """
    with _guard:
        turn = _turns.setdefault(place, threading.RLock())
    with contextlib.ExitStack() as stack:
        if not was_heard(place):
            stack.enter_context(turn)
        if silence := known(place):
            raise Silent(str(silence))
        began = time.monotonic()
        try:
            yield
        except Silent:
            raise
        except OSError as error:
            took_s = time.monotonic() - began
            if took_s >= _HUNG_S or _timed_out(error):
                silent(place, _words(error, took_s))
            raise
        heard(place)


def _timed_out(error: OSError) -> bool:
    return any(isinstance(each, TimeoutError) for each in _chain(error))


def _words(error: OSError, took_s: float) -> str:
    """Return what was seen. A timeout's own text says nothing more."""
    if _timed_out(error):
        return f"no answer within {took_s:.3g} s"
    return f"{why_ours(error) or error.strerror or error} (after {took_s:.3g} s)"
