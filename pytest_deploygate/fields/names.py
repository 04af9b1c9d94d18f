"""Names of tables and columns as an inventory writes them: by the server's own rules, `schema.name` or `"Schema"."Name"`.

Without double quotes a name is folded to lower case. With them it is taken as it stands; a quote within is doubled.
"""

import re
from fnmatch import fnmatchcase
from typing import Annotated

from pytest_deploygate.fields.validating import After

#: A letter of any language or `_`, then digits and `$` too: written as what it is not, which compiles in no time.
_FREE = r"[^\x00-@\[-^`{-\x7f][^\x00-#%-/:-@\[-^`{-\x7f]*"
_PART = re.compile(rf'{_FREE}|"(?:[^"]|"")+"')
_UPPER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def parts(name: str) -> tuple[str, ...]:
    """Return the parts of a name as the server's catalog has them. Raises ValueError, with how to write it."""
    found, at = [], 0
    while part := _PART.match(name, at):
        text, at = part[0], part.end()
        # As the server does it: letters beyond ASCII are not folded in UTF-8.
        found.append(text[1:-1].replace('""', '"') if text.startswith('"') else text.translate(_UPPER))
        if at == len(name):
            return tuple(found)
        if name[at] != ".":
            break
        at += 1
    example = written(*name.replace('"', "").split("."))
    raise ValueError(
        f"{name!r} is not a name as SQL writes it: put a part with blanks or signs in double quotes, in YAML '{example}'"
    )


def written(*catalog: str) -> str:
    """Return how a name of the catalog is written, with double quotes only where it needs them."""
    return ".".join(
        part
        if re.fullmatch(_FREE, part) and part == part.translate(_UPPER)
        else '"' + part.replace('"', '""') + '"'
        for part in catalog
    )


def plain(name: str) -> str:
    """Return a name as queries of the catalog put it together: the parts without quotes, joined by dots."""
    return ".".join(parts(name))


def matches(name: str, pattern: str) -> bool:
    """Tell whether a written or plain name matches a pattern with wildcards, which may have quotes or not."""
    return fnmatchcase(name, pattern) or fnmatchcase(name.replace('"', ""), pattern.replace('"', ""))


def differs_in_case(wanted: str, there: str) -> bool:
    """Tell whether two written names are the same but for upper and lower case."""
    return wanted != there and plain(wanted).lower() == plain(there).lower()


def instead(there: str) -> str:
    """Say how to name what is there, for the end of a sentence."""
    return f"; there is {there}, which differs in upper and lower case: write '{there}' in the inventory"


def _relation(name: str) -> str:
    found = parts(name)
    if len(found) > 2:
        raise ValueError(f"{name!r} has {len(found)} parts; a table is named as schema.name")
    return written(*found)


def _column(name: str) -> str:
    found = parts(name)
    if len(found) != 1:
        raise ValueError(f"{name!r} is not the name of one column; with a dot in it, put it in double quotes")
    return found[0]


def _place(name: str) -> str:
    found = parts(name)
    if len(found) != 3:
        raise ValueError(f"{name!r} is not a column as schema.table.column")
    return written(*found)


#: A table, view or index, kept as `written` writes it.
RelationName = Annotated[str, After(_relation)]
#: A column, kept as the catalog has it.
ColumnName = Annotated[str, After(_column)]
#: A column of a table, schema.table.column, kept as `written` writes it.
PlaceName = Annotated[str, After(_place)]
