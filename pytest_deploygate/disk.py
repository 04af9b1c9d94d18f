"""Bringing what was written to the disk, also while the program goes on."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time

#: So much waiting in all is worth a process that waits instead: to start one takes about as long.
WORTH_S = 0.02
#: What was begun and is not on the disk yet is bounded, or the answers that nobody has read would fill their pipe.
_MOST = 1000
#: Each byte that it is given is a `begin`. It answers with how many of them the disk has, and an errno.
_PROCESS = """
import os, struct, sys
descriptor, brought, bring = int(sys.argv[1]), 0, getattr(os, "fdatasync", os.fsync)
while asked := os.read(0, 65536):
    brought, error = brought + len(asked), 0
    try:
        bring(descriptor)
    except OSError as failed:
        error = failed.errno or 5
    os.write(1, struct.pack("=QI", brought, error))
"""
_ANSWER = struct.Struct("=QI")


class BackgroundSync:
    """Brings what was written to an open file to the disk while the program goes on. Not for several threads.

    Once that has taken long, in all, another process does it: a thread would have to share the interpreter, and to hand over
    to it takes longer than a quick disk. What is written while the process waits is taken along by its next turn, so that a
    slow disk costs one wait for many writes. Without such a process the disk is waited for at once.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._begun = self._brought = 0
        self._waited_s = 0.0
        self._error: OSError | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._handed = 0

    def begin(self) -> None:
        """Start to bring to the disk what has been written so far. Raises the OSError that prevented it before."""
        self._refuse()
        self._begun += 1
        if self._process is None and self._waited_s > WORTH_S:
            self._start()
        try:
            if self._process is None:
                self._bring()
            else:
                self._hand_over(self._process)
        except BaseException:
            self._leave()
            raise

    def wait(self) -> None:
        """Wait until all for which `begin` was called is on the disk. Raises the OSError that prevented it."""
        self._refuse()
        try:
            while self._process is not None and self._brought < self._begun:
                self._hear(self._process)
            if self._brought < self._begun:
                self._bring()
        except BaseException:  # an answer may have been read and not counted
            self._leave()
            raise

    def close(self) -> None:
        """End the process; the file can be closed then."""
        self._leave()

    def _refuse(self) -> None:
        if self._error is not None:
            raise self._error

    def _hand_over(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin  # noqa: S101 (for mypy)
        try:
            os.write(process.stdin.fileno(), b".")
        except BrokenPipeError:  # something killed it
            self._leave()
            self._bring()
            return
        while self._process is not None and self._begun - self._brought > _MOST:
            self._hear(process)

    def _hear(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout  # noqa: S101 (for mypy)
        answer = os.read(process.stdout.fileno(), _ANSWER.size)
        if len(answer) < _ANSWER.size:  # something killed it
            self._leave()
            return
        brought, number = _ANSWER.unpack(answer)
        if number:
            self._error = OSError(number, os.strerror(number))
            raise self._error
        self._brought = self._handed + brought

    def _bring(self) -> None:
        began = time.perf_counter()
        try:
            to_disk(self._descriptor)
        except OSError as error:
            self._error = error
            raise
        self._waited_s += time.perf_counter() - began
        self._brought = self._begun

    def _start(self) -> None:
        self._handed = self._begun - 1
        self._waited_s = 0.0
        command = (sys.executable or "python3", "-I", "-S", "-c", _PROCESS, str(self._descriptor))
        try:
            # Ctrl-C in a terminal is for the program alone, which then waits for what it has begun.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=(self._descriptor,),
                bufsize=0,
                start_new_session=True,
            )
        except OSError:
            self._waited_s = -float("inf")  # it is not tried again

    def _leave(self) -> None:
        """End the process. It would end with its input, but a fork of this program may have that open for long."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
            process.wait()


def to_disk(descriptor: int) -> None:
    """Wait until what was written to a file is on the disk, with its size. Raises OSError."""
    getattr(os, "fdatasync", os.fsync)(descriptor)  # macOS has no fdatasync
