r"""Expressions for RE2 (Go's `regexp`), compiled by Python's `re`.

Both write most things alike. Translated are flags in the middle (`a(?i)b`), `\z`, `\x{41}`, and classes such as
`[[:alnum:]]`; `\w`, `\d` and `\s` mean ASCII. Source: https://github.com/google/re2/wiki/Syntax.
"""

from __future__ import annotations

import re

_CLASSES = {
    "alnum": "A-Za-z0-9", "alpha": "A-Za-z", "ascii": r"\x00-\x7f", "blank": r"\t ", "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9", "graph": "!-~", "lower": "a-z", "print": " -~", "punct": r"!-/:-@\[-`{-~", "space": r"\t\n\v\f\r ",
    "upper": "A-Z", "word": "0-9A-Za-z_", "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_CLASS = re.compile(r"\[:(\^?[a-z]+):\]")
_OPENS_CLASS = re.compile(r"\[\^?\]?")
_CODE = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}")
_FLAGS = re.compile(r"\(\?([a-zA-Z-]+)(:|\))")
_OPENS_GROUP = re.compile(r"\((?:\?(?::|P?<[A-Za-z_]\w*>))?")
_ESCAPED = re.compile(r"\\.", re.DOTALL)
#: Escapes that Python does not have, or has in another sense.
_NO_COUNTERPART = "pPQECX"


def translated(expression: str) -> re.Pattern[str]:
    """Compile an expression for RE2. Raises ValueError or re.error for what Python cannot do in the same way."""
    if not isinstance(expression, str):
        raise TypeError("an expression must be text")
    written: list[str] = []
    #: For each group that is open, the flags that were set in it: they hold to its end, in each alternative.
    flags: list[list[str]] = [[]]
    place = 0
    while place < len(expression):
        if expression[place] == "[":
            place = _write_class(expression, place, written)
        else:
            place = _write(expression, place, written, flags)
    written.append(")" * len(flags[0]))
    return re.compile("".join(written), re.ASCII)


def _write(expression: str, place: int, written: list[str], flags: list[list[str]]) -> int:
    """Translate what stands at a place, outside of classes; return the place after it."""
    c = expression[place]
    if c == "\\":
        return _write_escaped(expression, place, written)
    if c == "(":
        return _open_group(expression, place, written, flags)
    if c == "|":
        written.append(")" * len(flags[-1]) + "|" + "".join(f"(?{each}:" for each in flags[-1]))
    elif c == ")":
        if len(flags) == 1:
            raise ValueError(f"a parenthesis too many at position {place}")
        written.append(")" * len(flags.pop()) + ")")
    else:
        written.append(c)
    return place + 1


def _open_group(expression: str, place: int, written: list[str], flags: list[list[str]]) -> int:
    if found := _FLAGS.match(expression, place):
        if set(found[1]) - set("ims-"):
            raise ValueError(f"{found[0]} has no counterpart in Python's expressions")
        written.append(f"(?{found[1]}:")
        if found[2] == ")":
            flags[-1].append(found[1])
        else:
            flags.append([])
        return found.end()
    flags.append([])
    opening = _OPENS_GROUP.match(expression, place)
    text = opening[0] if opening else "("
    written.append(text.replace("(?<", "(?P<"))
    return place + len(text)


def _write_escaped(expression: str, place: int, written: list[str]) -> int:
    if code := _CODE.match(expression, place):
        written.append(re.escape(chr(int(code[1], 16))))
        return code.end()
    found = _ESCAPED.match(expression, place)
    if found is None:
        raise ValueError("it ends with a backslash")
    if found[0][1] in _NO_COUNTERPART:
        raise ValueError(f"{found[0]} has no counterpart in Python's expressions")
    written.append(r"\Z" if found[0] == r"\z" else found[0])
    return found.end()


def _write_class(expression: str, place: int, written: list[str]) -> int:
    opening = _OPENS_CLASS.match(expression, place)
    text = opening[0] if opening else "["
    written.append(text.replace("]", r"\]"))
    place += len(text)
    while place < len(expression) and expression[place] != "]":
        if expression[place] == "\\":
            place = _write_escaped(expression, place, written)
        elif named := _CLASS.match(expression, place):
            if named[1] not in _CLASSES:
                raise ValueError(f"{named[0]} has no counterpart in Python's expressions")
            written.append(_CLASSES[named[1]])
            place = named.end()
        else:
            # Doubled, these will have a meaning in Python; in RE2 they have none.
            written.append(rf"\{expression[place]}" if expression[place] in "[&~|" else expression[place])
            place += 1
    if place == len(expression):
        raise ValueError("a class [ is not closed")
    written.append("]")
    return place + 1
