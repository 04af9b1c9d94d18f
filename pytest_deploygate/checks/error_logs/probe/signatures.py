"""What errors have in common: a text without what differs from one to the next, with what tells two kinds apart.

Numbers, hexadecimal numbers, identifiers and texts in quotation marks are left out. Statuses (4xx, 5xx), codes of errors
(`ORA-00942`, `errno 111`, `SQLSTATE 40001`) and names of exceptions, modules and functions stay: a new one is a new error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

#: Stands for what was left out.
GAP = "*"
#: Of a line, and of a stack trace, as much counts.
_LONGEST, _FRAMES, _LINES = 300, 4, 200
_LONGEST_CODE = 6
#: A number after one of these says what kind of error it is.
_CODE = re.compile(r"(?:code|rrno|STATE|tatus)[ =:]{1,2}$|rror $|[A-Z]-$")
#: What stands before a status (4xx, 5xx) that is no number of a thing.
_ANSWERED = re.compile(r"(?:(?<!rror)(?<!tion): |[(\[]|[\"*] |(?:urned|wered|got|TTP|onse|with) )$")
_UNIT = re.compile(
    r"\s?(?:ms|µs|us|ns|s|sec|seconds|min|minutes|h|[kKMGT]?i?B|bytes|rows|times|lines|items|x)\b|\s?%|[.:,/-]\d"
)
_BEFORE = 8
_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|(?<!\w)'[^'\n]*'(?!\w)")
#: Numbers with their units, times, addresses, and hexadecimal numbers. It is run for each error, so it begins at few places.
_NUMBER = re.compile(
    r"(?<![A-Za-z_0-9])(?:\d[0-9a-fA-Fx]*(?:[.:,/-][0-9a-fA-F]+)*(?:ms|us|ns|[smh]|[kKMGT]?i?B)?"
    r"|[a-fA-F][0-9a-fA-F]{7,}(?:-[0-9a-fA-F]{4,12})*)(?![A-Za-z_0-9])"
)
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
#: Frames of stack traces: Python, Java and its kind, JavaScript, Go, Ruby and PHP. The place in the file differs by version.
_FRAMES_OF = (
    re.compile(r'\s*File "(?P<file>[^"]+)", line \d+, in (?P<name>.+)'),
    re.compile(r"\s*at (?P<name>[\w.$<>/ ]+?)\s*\((?P<file>[^()]*?)(?::\d+)*\)"),
    re.compile(r"(?P<name>[\w./*()]+)\(.*\)\s*$"),
    re.compile(r"\s*#\d+ (?P<file>\S+?)\(\d+\): (?P<name>.+)"),
)
_OF_GO = 2
_HEADINGS = ("Traceback (most recent", "During handling of", "The above exception", "goroutine ")

Normalise = Callable[[str], str]


def normaliser(masks: Sequence[str]) -> Normalise:
    """Return the function that leaves out of a text what differs; `masks` are further expressions for that."""
    own = re.compile("|".join(f"(?:{mask})" for mask in masks)) if masks else None

    def normalise(text: str) -> str:
        text = text[:_LONGEST]
        if own is not None:
            text = own.sub(GAP, text)
        if "@" in text:
            text = _MAIL.sub(GAP, text)
        if '"' in text or "'" in text:
            text = _QUOTED.sub(GAP, text)
        return _NUMBER.sub(_left_out, text)

    return normalise


def _left_out(found: re.Match[str]) -> str:
    """Return the gap, or a number that says what kind of error it is."""
    text = found[0]
    if len(text) <= _LONGEST_CODE and text.isdigit():
        before = found.string[max(0, found.start() - _BEFORE) : found.start()]
        if _CODE.search(before):
            return text
        status = len(text) == 3 and text[0] in "45"
        if status and _ANSWERED.search(before) and not _UNIT.match(found.string, found.end()):
            return text
    return GAP


def signature(head: str, rest: Sequence[str], normalise: Normalise) -> str:
    """Return the signature of an error: its first line, and of a stack trace the exceptions and the innermost frames."""
    text = normalise(head)
    if not rest:
        return text
    said: list[str] = []
    frames: list[str] = []
    for line in rest[:_LINES]:
        if not line.strip() or line.startswith(_HEADINGS):
            continue
        if frame := _frame(line):
            frames.append(frame)
        elif not line[0].isspace():
            said.append(normalise(line.rstrip()))
    # Python has the innermost frame last, the others first.
    inner = frames[-_FRAMES:] if any('File "' in line for line in rest[:_LINES]) else frames[:_FRAMES]
    return " | ".join([text, *dict.fromkeys(said[:_FRAMES]), *inner])


def _frame(line: str) -> str:
    for number, form in enumerate(_FRAMES_OF):
        if number == _OF_GO and line[0].isspace():
            continue
        if found := form.fullmatch(line.rstrip()):
            file = found.groupdict().get("file") or ""
            return f"{file.rpartition('/')[2]}:{found['name'].strip()}" if file else found["name"].strip()
    return ""
