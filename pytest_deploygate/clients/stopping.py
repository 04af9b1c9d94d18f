"""Ending what runs, within a second: a stop file, a signal, or a limit of the probe itself.

The stop file is the one truth: the signal writes it, and every process of a run (workers of pytest-xdist, forks) looks for
it. What waits is ended in two ways. A socket, a process or a session that a client holds is cut by the watching thread;
a probe in the main thread gets `Ended` out of whatever it waits in. `Ended` is no Exception: no probe may take it for
an answer.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

#: The name of the stop file in a change's folder.
NAME = "STOP"
#: How often the stop file is looked for.
POLL_S = 0.05
#: The signal that people send to the process of a run.
SIGNAL = signal.SIGUSR1
#: The signal that gets our main thread out of a system call. Without a handler it is ignored, so it can do no harm.
_WAKE = signal.SIGURG
_MOST_WORDS = 200
#: What people do after a stop, unless whoever began says otherwise.
_AGAIN = "remove it and run again with --resume"


class Ended(BaseException):
    """Raised in what runs when it must end. `how`: `stopped`, `spent`, `time` or `harm`; its text is a finding's reason."""

    def __init__(self, how: str = "stopped", text: str = "ended with the test that it belongs to") -> None:
        super().__init__(text)
        self.how = how


class Block:
    """Code that can be ended. `ending` is why it must end; None while it may go on."""

    def __init__(self, look: Callable[[], Ended | None] | None = None) -> None:
        self.ending: Ended | None = None
        self.asked = 0.0  # when the ending was asked for, by the monotonic clock
        self.thread = threading.get_ident()
        self.told = False
        self._look = look

    def check(self) -> None:
        """Raise Ended if the block must end. For loops, and for other threads than the one that began it."""
        if time.monotonic() - _shared.absent >= POLL_S:  # else the thread that looks has just done so
            _shared.look()
        if self.ending is not None:
            self.told = self.told or threading.get_ident() == self.thread
            raise Ended(self.ending.how, str(self.ending))

    def end(self, ending: Ended, asked: float | None = None) -> None:
        """End the block from any thread; the first reason counts."""
        if self.ending is None:
            self.asked = time.monotonic() if asked is None else asked
            self.ending = ending

    def look(self) -> None:
        """Ask whoever began the block whether it must end."""
        if self._look is not None and self.ending is None and (found := self._look()):
            self.end(found)


class _Stopping:
    """The state of this process: the stop file, the blocks that run, and what can be cut."""

    def __init__(self) -> None:
        self.file: Path | None = None
        self.again = _AGAIN
        self.blocks: list[Block] = []
        self.cuts: dict[int, tuple[int, Callable[[], object]]] = {}
        self.numbers = itertools.count()
        self.shields = 0
        self.before: Any = signal.SIG_DFL  # who handled the signal before us
        self.woken: Any = signal.SIG_DFL
        self.wakes = False  # the main thread can be woken in any block, as long as a stop file is looked for
        self.afresh()

    def afresh(self) -> None:
        """Begin anew in a forked process: it has no other thread, and locks may be held for ever."""
        self.guard = threading.RLock()
        self.wake = threading.Event()
        self.thread: threading.Thread | None = None
        self.absent = 0.0  # when the stop file was last seen not to be there
        self.looked = time.monotonic()

    def watch(self) -> None:
        with self.guard:
            if self.thread is None or not self.thread.is_alive():
                self.looked = time.monotonic()
                self.thread = threading.Thread(target=self._watch, name="stopping", daemon=True)
                self.thread.start()

    def _watch(self) -> None:
        while True:
            self.wake.wait(POLL_S)
            self.wake.clear()
            with self.guard:
                if not self.blocks and self.file is None:
                    self.thread = None
                    return
            self.look()
            self._carry_out()

    def look(self) -> None:
        """Look for the stop file, and ask each block."""
        before, self.looked = self.looked, time.monotonic()
        said = stopped()
        self.absent = 0.0 if said else self.looked
        for block in tuple(self.blocks):
            if said and block.ending is None:
                # It was not there when we looked before: it may have been made as long ago.
                block.end(Ended("stopped", said), before)
            block.look()

    def _carry_out(self) -> None:
        """Cut what is held and interrupt the main thread, again until it has noticed."""
        blocks = tuple(self.blocks)
        ending = {block.thread for block in blocks if block.ending is not None}
        if not ending or self.shields:
            return
        main = threading.main_thread().ident
        # Who has been told cleans up, and must not be cut; those that work for it have heard of nothing.
        untold = [block for block in blocks if block.ending is not None and not block.told]
        cut = {block.thread for block in untold}
        # A thread that began no block of its own works for the one of the main thread.
        own = {block.thread for block in blocks} | {main}
        held = [
            number
            for number, (thread, _) in tuple(self.cuts.items())
            if thread in cut or (main in ending and thread not in own)
        ]
        # The main thread first: what it waits for may end as soon as it is cut, and it would go on.
        if main is not None and any(block.thread == main for block in untold):
            signal.pthread_kill(main, _WAKE)
        for number in held:
            if (found := self.cuts.pop(number, None)) is not None:
                # One that takes its time must not keep the others waiting.
                threading.Thread(target=_tried, args=(found[1],), daemon=True).start()

    def ended(self) -> Ended:
        """Return why a block of this process ends."""
        found = next((block.ending for block in self.blocks if block.ending is not None), None)
        return Ended(found.how, str(found)) if found is not None else Ended()

    def raise_now(self) -> None:
        """Raise Ended in the main thread for a block that has not been told."""
        mine = threading.get_ident()
        untold = [b for b in self.blocks if b.ending is not None and not b.told and b.thread == mine]
        if not untold or self.shields:
            return
        for block in untold:
            block.told = True
        ending = untold[0].ending
        if ending is not None:
            raise Ended(ending.how, str(ending))


_shared = _Stopping()


def _after_fork() -> None:
    _shared.afresh()
    if _shared.blocks:
        _shared.watch()


os.register_at_fork(after_in_child=_after_fork)


def begin(file: Path | None, again: str = _AGAIN) -> None:
    """Say where the stop file of this process's run is, and let the signal make it. `again` is what to do after a stop."""
    _shared.file, _shared.again = file, again
    _shared.absent = 0.0  # nothing begins while the file is there
    if threading.current_thread() is not threading.main_thread():
        return
    if _shared.wakes != (file is not None):
        _shared.wakes = file is not None
        if _shared.wakes:
            _shared.woken = signal.signal(_WAKE, _on_wake)
        else:
            signal.signal(_WAKE, _shared.woken)
    if file is not None:
        if (before := signal.signal(SIGNAL, _on_signal)) is not _on_signal:
            _shared.before = before
    elif signal.getsignal(SIGNAL) is _on_signal:
        signal.signal(SIGNAL, _shared.before)


def _on_wake(_number: int, _frame: FrameType | None) -> None:
    _shared.raise_now()


def _on_signal(_number: int, _frame: FrameType | None) -> None:
    if _shared.file is not None:
        stop(_shared.file, f"signal {SIGNAL.name} to process {os.getpid()}")
        _shared.wake.set()


def stop(file: Path, who: str) -> None:
    """Make a stop file. Raises OSError."""
    file.write_text(f"{who}\n", "utf-8")


def stopped() -> str:
    """Return why everything must end, as a finding's reason; empty if it need not."""
    file = _shared.file
    if file is None or not os.path.exists(file):  # noqa: PTH110 (twenty times a second)
        return ""
    words = ""
    with contextlib.suppress(OSError):
        # No file object: the main thread may be woken between its opening and `with`, and Python would warn of it.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            words = " ".join(os.read(descriptor, _MOST_WORDS).decode(errors="replace").split())
        finally:
            os.close(descriptor)
    by = f" ({words})" if words else ""
    return f"stopped by the stop file {file}{by}; {_shared.again}"


@contextlib.contextmanager
def ending(look: Callable[[], Ended | None] | None = None) -> Iterator[Block]:
    """Run a block that can be ended: raises Ended in it. `look` is asked often, in another thread, whether it must end."""
    block = Block(look)
    alone = threading.current_thread() is threading.main_thread() and not _shared.wakes
    before = signal.signal(_WAKE, _on_wake) if alone else None
    with _shared.guard:
        _shared.blocks.append(block)
    _shared.watch()
    try:
        block.check()
        yield block
    finally:
        block.told = True
        with _shared.guard:
            _shared.blocks.remove(block)
        if alone and not _shared.wakes:
            signal.signal(_WAKE, before)


def may_begin() -> None:
    """Raise Ended in a thread of what ends: nothing new begins there. Who began the block may still clean up."""
    mine, main = threading.get_ident(), threading.main_thread().ident
    if mine == main or _shared.shields:
        return
    blocks = tuple(_shared.blocks)
    own = any(block.thread == mine for block in blocks)
    if any(b.ending is not None and (b.thread == mine if own else b.thread == main) for b in blocks):
        raise _shared.ended()


@contextlib.contextmanager
def cutting(cut: Callable[[], object]) -> Iterator[None]:
    """Call `cut` from another thread when what runs must end: for what holds a socket, a process or a session.

    It must be quick, and may be called when there is nothing left to cut. Raises Ended in place of what the cut caused.
    Outside of a block nothing happens.
    """
    if not _shared.blocks or _shared.shields:
        yield
        return
    number = next(_shared.numbers)
    _shared.cuts[number] = threading.get_ident(), cut
    try:
        may_begin()  # after it is known what to cut: else an ending that is asked for in between would miss it
        yield
    except Ended:
        _shared.cuts.pop(number, None)
        raise
    except BaseException as error:
        if _shared.cuts.pop(number, None) is None:  # what the cut caused is no answer
            raise _shared.ended() from error
        raise
    if _shared.cuts.pop(number, None) is None:
        raise _shared.ended()


def _tried(cut: Callable[[], object]) -> None:
    with contextlib.suppress(Exception):  # what is closed already cannot be cut
        cut()


@contextlib.contextmanager
def interrupting() -> Iterator[None]:
    """Raise Ended in this thread when what runs must end: for libraries that wait in Python, and hold nothing to cut.

    Not needed in the main thread, which is interrupted anyway.
    """
    mine = threading.get_ident()
    if mine == threading.main_thread().ident:
        yield
        return
    import ctypes  # noqa: PLC0415 (few probes wait in such a library)

    with cutting(
        lambda: ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(mine), ctypes.py_object(Ended))
    ):
        yield


@contextlib.contextmanager
def shielded() -> Iterator[None]:
    """Let a block finish first: for what takes away or restores what a probe began. Keep it short."""
    _shared.shields += 1
    try:
        yield
    finally:
        _shared.shields -= 1
    # Who restores after a stop has been told already; another one hears of it now.
    if threading.current_thread() is threading.main_thread():
        _shared.raise_now()
