"""The messages of one host: each with a mark of its own, by which it is found wherever it arrives."""

from __future__ import annotations

import re
import secrets

from pytest_deploygate.checks.log_delivery.facts import Kind
from pytest_deploygate.checks.log_delivery.section import LogDelivery
from pytest_deploygate.lazy import dataclass

_MARK = 32
#: What a program logs when something goes wrong: indented lines, and one that begins at the margin.
_LINES = 'Traceback (most recent call last):\n  File "/srv/app/main.py", line 7, in <module>\n\traise ValueError\nend of {mark}'
_NON_ASCII = "Grüße, łódź, Ελλάδα, 日本語, ✓ 🚚"
#: What syslog servers write in place of control characters.
_ESCAPES = {"#012": "\n", "#011": "\t", "\\n": "\n", "\\t": "\t", "\\012": "\n", "\\011": "\t"}


@dataclass(frozen=True)
class Messages:
    """What one host logs. `burst_mark` stands before the number of each message of the burst."""

    marks: dict[Kind, str]
    texts: dict[Kind, str]
    burst_mark: str


def new_run() -> str:
    """Return what all marks of a run begin with."""
    return secrets.token_hex(6)


def marks_of(run: str) -> re.Pattern[str]:
    """Return the expression that finds the marks of a run."""
    return re.compile(f"{run}[0-9a-f]{{{_MARK - len(run)}}}")


def prepare(section: LogDelivery, run: str) -> Messages:
    """Return the messages that one host has to log."""
    kinds = [Kind.PLAIN]
    kinds += [Kind.LINES] if section.multi_line else []
    kinds += [Kind.LONG] if section.longest is not None else []
    kinds += [Kind.NON_ASCII] if section.non_ascii else []
    marks = {kind: _mark(run) for kind in kinds}
    return Messages(marks, {kind: _text(kind, mark, section) for kind, mark in marks.items()}, _mark(run))


def _mark(run: str) -> str:
    return run + secrets.token_hex((_MARK - len(run)) // 2)


def _text(kind: Kind, mark: str, section: LogDelivery) -> str:
    if kind is Kind.LINES:
        return f"{mark} {_LINES.format(mark=mark)}"
    if kind is Kind.LONG:
        # Counted, so that one sees where it was cut; the whole has exactly the size that was asked for.
        body = "".join(f"{number:07d} " for number in range((section.longest or 0) // 8))
        return f"{mark} {body}"[: (section.longest or 0) - 1] + "."
    return f"{mark} {_NON_ASCII}" if kind is Kind.NON_ASCII else f"{mark} a message of the deployment gate"


def is_rest(text: str, mark: str) -> bool:
    """Tell whether a line is only the end of a message of several lines."""
    return text.count(mark) == 1 and f"end of {mark}" in text


def differs(kind: Kind, sent: str, got: str) -> str:
    """Return how a message is not what was sent; empty if it is whole. Escaped ends of lines are whole.

    What stands before the mark is not the message's: a tag, or what a program that follows files adds.
    """
    got = got[max(0, got.find(sent[:_MARK])) :]
    if got.strip() == sent:
        return ""
    shown = got.strip()
    for escape, meant in _ESCAPES.items():
        shown = shown.replace(escape, meant)
    if shown.strip() == sent:
        return ""
    size, whole = len(shown.encode()), len(sent.encode())
    if kind is Kind.LINES and "\n" not in shown:
        return "its lines are separate records"
    if sent.startswith(shown.rstrip("�. ")):
        return f"it is cut after {size} of {whole} B"
    if kind is Kind.NON_ASCII:
        return f"its characters are changed to {_excerpt(shown)}"
    return f"its text is changed ({size} of {whole} B)"


def _excerpt(text: str) -> str:
    return repr(re.sub(r"^[0-9a-f]{32} ", "", text)[:40])
