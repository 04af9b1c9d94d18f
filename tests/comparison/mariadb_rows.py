"""The same rows in MariaDB and in PostgreSQL, of every type that a migration meets, and their values as texts."""

from __future__ import annotations

import json
import math
import random
import struct
from datetime import date, datetime, timedelta

#: Column, type in MariaDB, type in PostgreSQL. Of the same form on both sides.
TYPES = [
    ("id", "INT UNSIGNED NOT NULL PRIMARY KEY", "bigint PRIMARY KEY"),
    ("tiny", "TINYINT", "smallint"),
    ("flag", "TINYINT(1)", "boolean"),
    ("filled", "INT(8) ZEROFILL", "integer"),
    ("big", "BIGINT UNSIGNED", "numeric(20)"),
    ("price", "DECIMAL(20,6)", "numeric"),
    ("f8", "DOUBLE", "double precision"),
    ("f4", "FLOAT", "real"),
    ("code", "CHAR(10) CHARACTER SET ascii", "character(10)"),
    ("name", "VARCHAR(60) CHARACTER SET latin1", "varchar(60)"),
    ("note", "TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", "text"),
    ("old", "VARCHAR(40) CHARACTER SET utf8mb3", "text"),
    ("bin", "VARBINARY(40)", "bytea"),
    ("fixed", "BINARY(16)", "uuid"),
    ("doc", "LONGBLOB", "bytea"),
    ("day", "DATE", "date"),
    ("at", "DATETIME(6)", "timestamp"),
    ("seen", "TIMESTAMP(3) NULL", "timestamptz"),
    ("took", "TIME(2)", "time"),
    ("built", "YEAR", "integer"),
    ("bits", "BIT(12)", "bit(12)"),
    ("on_off", "BIT(1)", "boolean"),
    ("mood", "ENUM('good','bad','so ''lala''')", "mood"),
    ("tags", "SET('a','b','c')", "text"),
    ("raw", "JSON", "json"),
    ("guid", "UUID", "uuid"),
    ("guid_text", "CHAR(36)", "uuid"),
]
TEXTS = [
    "",
    " ",
    "a ",
    "A",
    "a",
    "caf\u00e9",
    "tab\t",
    "x'y\\z\"",
    "1:a",
    "N",
    "long " * 300,
    "line\nline",
    "%s `b`",
]
#: Beyond Latin 1, and beyond utf8mb3.
MORE = ["cafe\u0301", "\u6f22\u5b57", "\u0130\u0131", "\u200d"]
BEYOND = ["\U0001f9ea", "\U00020000"]


def doubles(rows: int) -> list[float]:
    """Numbers of every size, beginning with those at the borders of how they are written."""
    chance = random.Random(7)
    found = [
        -0.0, 0.0, 0.1, 1e15, 1e14, 123456789012345680.0, 1e-4, 1e-5, 9.99999e-5, 1e-15, 9.9e-16, 5e-324, -2.2250738585072014e-308,
        1.7976931348623157e308, 1 / 3, 1e20, 5.684341886080802e-14, 1039514241563211.8, -4480657516823541.5, 999999999999999.9,
    ]  # fmt: skip
    while len(found) < rows:
        if len(found) % 2:
            found.append(chance.uniform(-1, 1) * 10 ** chance.randint(-18, 18))
        else:
            (number,) = struct.unpack("d", chance.randbytes(8))
            found += [number] if math.isfinite(number) else []
    return found


def rows(count: int) -> list[tuple]:
    """Values in the order of TYPES. Every 11th row is NULL but for its key."""
    chance = random.Random(3)
    found = []
    for n, double in enumerate(doubles(count), 1):
        if n % 11 == 0:
            found.append((n, *[None] * (len(TYPES) - 1)))
            continue
        guid = f"{n:08x}-0001-0002-0003-{n:012x}"
        (single,) = struct.unpack("f", struct.pack("f", chance.uniform(-1e6, 1e6)))
        found.append((
            n, n % 100 - 50, n % 2, n, 2**64 - n, f"{n / 7:.6f}", double, single, f"c{n % 9}  ", TEXTS[n % len(TEXTS)][:60],
            (TEXTS + MORE + BEYOND)[n % (len(TEXTS + MORE + BEYOND))], (["x", " y ", *MORE])[n % 6], chance.randbytes(n % 40),
            bytes.fromhex(guid.replace("-", "")), chance.randbytes(n % 300), date(1000 + n % 9000, 1 + n % 12, 1 + n % 28),
            datetime.fromisoformat("2026-03-29T01:30:00") + timedelta(minutes=n, microseconds=n * 10 if n % 3 else 0),
            datetime.fromisoformat("2026-03-29T00:30:00") + timedelta(minutes=n, milliseconds=n % 1000 if n % 3 else 0),
            f"{n % 24:02d}:{n % 60:02d}:07.{n % 100:02d}", 1901 + n % 200, n % 4096, n % 2, ["good", "bad", "so 'lala'"][n % 3],
            ["", "a", "a,c", "a,b,c"][n % 4], json.dumps({"b": n, "a": [1, None, "caf\u00e9"]}), guid, guid.upper(),
        ))  # fmt: skip
    return found


def maria_literal(value: object, kind: str) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, float):
        if str(value) == "-0.0":
            return "-1e-300 * 1e-300"
        return f"{value!r}e0" if "e" not in repr(value) else repr(value)
    if isinstance(value, int):
        return str(value)
    return f"CONVERT(x'{str(value).encode().hex()}' USING utf8mb4)"


def postgres_literal(value: object, kind: str) -> str:
    if value is None:
        return "NULL"
    if kind == "uuid" and isinstance(value, bytes):
        return f"'{value.hex()}'"
    if isinstance(value, bytes):
        return rf"'\x{value.hex()}'"
    if kind == "boolean":
        return str(bool(value))
    if kind.startswith("bit("):
        return f"B'{value:012b}'"
    if kind == "timestamptz":
        return f"'{value}Z'"
    if isinstance(value, float):
        return f"'{value!r}'"
    return "'" + str(value).replace("'", "''") + "'"


def maria_script(count: int) -> str:
    columns = ", ".join(f"`{name}` {kind}" for name, kind, _ in TYPES)
    return f"CREATE TABLE everything ({columns});" + _inserts(
        "everything", maria_literal, 1, count, quote="`"
    )


def postgres_script(count: int) -> str:
    columns = ", ".join(f'"{name}" {kind}' for name, _, kind in TYPES)
    made = (
        f"CREATE TYPE mood AS ENUM ('good', 'bad', 'so ''lala'''); CREATE TABLE app.everything ({columns});"
    )
    return made + _inserts("app.everything", postgres_literal, 2, count, quote='"')


def _inserts(table: str, literal, side: int, count: int, quote: str) -> str:
    found = rows(count)
    said = []
    for at in range(0, count, 200):
        lines = ", ".join(
            "(" + ", ".join(literal(v, t[side]) for v, t in zip(row, TYPES, strict=True)) + ")"
            for row in found[at : at + 200]
        )
        said.append(f"INSERT INTO {table} VALUES {lines}")
    return ";".join(said)
