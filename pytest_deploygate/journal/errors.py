"""What can be wrong with a journal."""

from __future__ import annotations

#: What reading an entry of another shape raises, other than JournalError.
ODD = (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError, ArithmeticError)


class JournalError(Exception):
    """The journal cannot be read or written; the message names the line, the cause and the next step."""


class UnwritableError(JournalError):
    """The disk is full or the folder is not writable: evidence cannot be stored (exit code 25)."""


class BusyError(JournalError):
    """Another process writes to the folder: nothing was done, and nothing is wrong (exit code 4)."""
