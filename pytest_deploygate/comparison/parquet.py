"""The file of differences once more as Parquet, for those who look at many of them with a query engine.

`differences.parquet` has the columns of the CSV file; NULL is null, and `rows` an int64. It is made from the finished
CSV file, some lines at a time. It needs the extra `parquet` (PyArrow), which by itself takes more memory than a comparison.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

from pytest_deploygate.comparison import differences

NAME = "differences.parquet"
_LINES = 1000
_LONGEST = 1 << 24


def missing() -> str:
    """Say what to install; empty if nothing."""
    if find_spec("pyarrow"):
        return ""
    return "`migration.parquet` needs PyArrow: pip install 'pytest-deploygate[parquet]', or remove it"


def write(folder: Path) -> Path:
    """Write the differences of a finished comparison as Parquet, whole or not at all. Raises OSError."""
    import pyarrow as pa  # noqa: PLC0415 (an extra, and heavy)
    from pyarrow import parquet  # noqa: PLC0415

    schema = pa.schema([(name, pa.int64() if name == "rows" else pa.string()) for name in differences.FIELDS])
    whole = folder / NAME
    unfinished = whole.with_name(f".{NAME}.part")
    unfinished.touch(0o600)
    with parquet.ParquetWriter(unfinished, schema, compression="zstd") as out:
        for lines in _batches(folder / differences.NAME):
            columns = [
                pa.array([_value(name, line[n]) for line in lines], schema.field(n).type)
                for n, name in enumerate(differences.FIELDS)
            ]
            out.write_table(pa.table(columns, schema=schema))
    unfinished.replace(whole)
    return whole


def _batches(path: Path) -> Iterator[list[list[str]]]:
    csv.field_size_limit(_LONGEST)
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        rows = csv.reader(file)
        next(rows, None)
        while lines := list(islice(rows, _LINES)):
            yield lines


def _value(name: str, text: str) -> str | int | None:
    if name == "rows":
        return int(text)
    return None if name in ("source", "target") and text == differences.NULL else text
