"""The texts of MariaDB's columns that other servers write as well. Pure.

All is written under pinned settings: see `clients.mariadb`. Sources: "Data Types" and "String Functions" of the MariaDB
documentation; `my_gcvt` of MariaDB's strings/dtoa.c for numbers in floating point.
"""

from __future__ import annotations

from pytest_deploygate.comparison.described import Form
from pytest_deploygate.comparison.forms import LARGE, LARGE_FACTOR, LARGE_UNIT
from pytest_deploygate.lazy import dataclass

_WHOLE = {"tinyint", "smallint", "mediumint", "int", "bigint"}
_TEXTS = {"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "set", "enum"}
_BYTES = {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"}
#: Of these character sets the order of code points is that of the bytes in UTF-8; `nopad`, because the order of a collation
#: that pads is another one: 'a' follows 'a\t' there.
_BYTEWISE = {
    f"{charset}_{order}"
    for charset in ("utf8mb4", "utf8mb3", "utf8", "ascii")
    for order in ("nopad_bin", "0900_bin")
}


@dataclass(frozen=True)
class Stored:
    """A column as `information_schema` has it. `type` is the whole type (`int(10) unsigned`), `data` its first word.

    `json` if it is a text whose values must be JSON: what MariaDB makes of the type `JSON`.
    """

    name: str
    data: str
    type: str
    collation: str
    json: bool = False


def of(column: Stored) -> tuple[Form, ...]:
    """Return the texts of a column, the best first; none if there is no text that other servers write."""
    name, data = quoted(column.name), column.data
    if data in _WHOLE:
        # + 0: without the zeros that ZEROFILL adds
        text = f"CAST({name} + 0 AS CHAR)"
        found = (Form("whole", text), Form("number", text))
        return (*found, _boolean(name)) if column.type.startswith("tinyint(1)") else found
    if data == "decimal":
        return (Form("number", _number(name, column.type), "as numbers, without their scale"),)
    if data in _TEXTS:
        return _text(column)
    if data in _BYTES:
        hexadecimal = (Form("bytes", f"LOWER(HEX({name}))"),)
        return (
            (*hexadecimal, Form("uuid", _hyphens(f"HEX({name})")))
            if column.type == "binary(16)"
            else hexadecimal
        )
    if data in {"float", "double"}:
        return (Form("single" if data == "float" else "double", _double(f"({name} + 0e0)")),)
    if data == "bit":
        return _bits(name, column.type)
    moment = _trimmed(f"DATE_FORMAT({name}, '%Y-%m-%d %H:%i:%s.%f')")
    one = {
        "date": ("date", f"DATE_FORMAT({name}, '%Y-%m-%d')"),
        "datetime": ("datetime", moment),
        "timestamp": (
            "instant",
            f"CONCAT({moment}, '+00')",
        ),
        "time": ("time", _trimmed(f"CAST(CAST({name} AS TIME(6)) AS CHAR)")),
        "year": ("whole", f"CAST({name} + 0 AS CHAR)"),
        "uuid": ("uuid", f"CONVERT({name} USING utf8mb4)"),
        "json": ("jsonb", f"CONVERT({name} USING utf8mb4)"),  # MySQL writes it as PostgreSQL writes jsonb
    }.get(data)
    return (Form(*one),) if one else ()


def problem(column: Stored) -> str:
    """Return why a column has no text that other servers write, or not one for a type that it often becomes."""
    if column.json:
        return "MariaDB has no function that writes JSON as jsonb is written"
    if column.data == "float":
        return "FLOAT is shown with six digits, and moved by them it has lost some"
    if column.data == "datetime":
        return "say the zone of DATETIME: an expression for the target such as (at AT TIME ZONE 'UTC')"
    if column.data == "timestamp":
        return "say the zone of the one without: an expression for the target such as (at AT TIME ZONE 'UTC')"
    return ""


def order(column: Stored) -> str:
    """Return in which order ranges of the column lie on every server: `whole`, `bytes`, or none."""
    if column.data in _WHOLE:
        return "whole"
    return "bytes" if column.data in {"char", "varchar"} and column.collation in _BYTEWISE else ""


def quoted(name: str) -> str:
    """Quote a name of the catalog."""
    return "`" + name.replace("`", "``") + "`"


def _text(column: Stored) -> tuple[Form, ...]:
    text = f"CONVERT({quoted(column.name)} USING utf8mb4)"
    if column.json:
        return (
            Form("text", text, "by the text of JSON that is stored, with its order of keys and its blanks"),
        )
    if column.data in {"enum", "set"}:
        return (Form("text", text, "by the labels"),)
    note = "without the padding of character" if column.data == "char" else ""
    return Form("text", text, note), Form("uuid", f"LOWER({text})", "in lower case")


def _boolean(number: str) -> Form:
    # Another number than 0 and 1 stays a number: it is equal to neither.
    sql = f"CASE {number} + 0 WHEN 0 THEN 'false' WHEN 1 THEN 'true' ELSE CAST({number} + 0 AS CHAR) END"
    return Form("boolean", sql)


def _bits(name: str, kind: str) -> tuple[Form, ...]:
    length = kind.removeprefix("bit(").rstrip(")")
    found = (
        Form(f"bits {length}", f"LPAD(BIN({name} + 0), {length}, '0')"),
        Form("whole", f"CAST({name} + 0 AS CHAR)"),
    )
    return (*found, _boolean(name)) if length == "1" else found


def _number(name: str, kind: str) -> str:
    text = f"CAST({name} + 0 AS CHAR)"
    scale = kind.partition(",")[2].partition(")")[0].strip()
    return text if scale in {"", "0"} else _trimmed(text)


def _double(number: str) -> str:
    """Return the text of a double, of which `+ 0e0` has given all digits, also of FLOAT and of a fixed number of them."""
    large = f"ABS({number}) >= {LARGE[0]!r} AND ABS({number}) < {LARGE[1]!r}"
    return f"IF({large}, CONCAT({number} * {LARGE_FACTOR!r}, '{LARGE_UNIT}'), CONCAT({number}, ''))"


def _trimmed(text: str) -> str:
    """Return a text with a fraction without the zeros at its end, and without a point at its end."""
    return f"TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM {text}))"


def _hyphens(digits: str) -> str:
    parts = ", '-', ".join(
        f"SUBSTR({digits}, {at}, {n})" for at, n in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    )
    return f"LOWER(CONCAT({parts}))"
