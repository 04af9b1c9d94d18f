"""A checklist with each item's id written into its line, so that a reworded line keeps its history."""

from __future__ import annotations

import re
from pathlib import Path

from pytest_deploygate.checklist import parser
from pytest_deploygate.checklist.markdown import LINE_END, What, lines

_BRACES = re.compile(r"\{([^{}]*)\}(\s*)$")


def identified(text: str) -> str:
    """Return the text with `{#id}` appended to each item that has none; nothing else changes.

    Raises parser.ChecklistError for a text that is not a checklist.
    """
    items = {item.line: item for item in parser.parse(text, Path("checklist")).items}
    found = {line.line: line for line in lines(text) if line.what is What.LIST_LINE}
    # Not `splitlines`: a form feed or U+2028 ends no line in Markdown, and ids would go to other lines.
    parts = [
        body + end for body, end in zip(LINE_END.split(text), [*LINE_END.findall(text), ""], strict=True)
    ]
    for number, item in items.items():
        line = found[number]
        said = parser.attributes(line.text)
        if said.id:
            continue
        last = line.last - 1
        body = parts[last].rstrip("\r\n")
        end = parts[last][len(body) :]
        body = body.rstrip(" \t")
        if not said.braces:
            body = f"{body} {{#{item.id}}}"
        elif braces := _BRACES.search(body):
            body = f"{body[: braces.start()]}{{#{item.id} {braces[1].strip()}}}"
        parts[last] = body + end
    return "".join(parts)
