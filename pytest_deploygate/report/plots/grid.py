"""A table of what was met: a row for each target, with a field for each place from which it was tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from pytest_deploygate.model import Grid
from pytest_deploygate.report import words as say
from pytest_deploygate.report.plots.canvas import box, picture, text

_HEAD, _ROW, _HIGH, _GAP = 20, 44, 20, 0.6
#: More cannot be read, or do not fit on a phone.
MOST_ROWS, MOST_COLUMNS = 16, 8
#: Up to so many columns a field has its whole words, else its first letters.
_WIDE, _LETTERS = 4, 4
#: Colour alone tells nothing to some people.
_SIGN = {"fail": "\u2717 ", "unknown": "? "}

Row = tuple[str, tuple[tuple[str, str], ...]]


def draw(figure: Grid) -> Markup:
    """Return the picture."""
    columns, rows = _shown(figure)
    every = ". ".join(_row_words(columns, row) for row in rows)
    return picture(f"{figure.title}: {every}", _HEAD + len(rows) * _ROW, _parts(columns, rows))


def words(figure: Grid) -> list[str]:
    """Describe the picture: signs, and what is not drawn."""
    if not figure.rows:
        return ["nothing was tried"]
    looks = {look for _, fields in figure.rows for look, _ in fields}
    signs = [
        said
        for look, said in (("fail", "\u2717 is not as declared"), ("unknown", "? is not known"))
        if look in looks
    ]
    if "" in looks:
        signs.append("a dashed field was not tried")
    wrong = {"fail", "unknown"} & looks
    marks = ", ".join([*([] if wrong else ["all is as declared"]), *signs])
    said = [f"a column for each place from which it was tried; {marks}"]
    if (more := len(figure.rows) - MOST_ROWS) > 0:
        said.append(f"{say.count(more, 'more row')}: not drawn, all are in the evidence")
    if (more := len(figure.columns) - MOST_COLUMNS) > 0:
        said.append(f"{say.count(more, 'more place')}: not drawn, all are in the evidence")
    return said


def _shown(figure: Grid) -> tuple[list[str], list[Row]]:
    """Return the columns and rows that are drawn: those with something that is wrong or unknown before the others."""
    numbers = sorted(
        range(len(figure.columns)),
        key=lambda n: min((_rank(fields[n][0]) for _, fields in figure.rows), default=0),
    )
    kept = sorted(numbers[:MOST_COLUMNS])
    rows = [(name, tuple(fields[n] for n in kept)) for name, fields in figure.rows]
    rows.sort(key=lambda row: min((_rank(look) for look, _ in row[1]), default=0))
    return [figure.columns[n] for n in kept], rows[:MOST_ROWS]


def _rank(look: str) -> int:
    return {"fail": 0, "unknown": 1}.get(look, 2)


def _row_words(columns: Sequence[str], row: Row) -> str:
    name, fields = row
    met = [
        f"{_SIGN.get(look, '')}{said} from {column}"
        for column, (look, said) in zip(columns, fields, strict=True)
        if look
    ]
    return f"{name}: {', '.join(met) or 'not tried'}"


def _parts(columns: Sequence[str], rows: Sequence[Row]) -> Iterator[Markup]:
    width = 100 / max(len(columns), 1)
    for number, name in enumerate(columns):
        yield text((number + 0.5) * width, 12, name, anchor="middle", kind="axis")
    for at, (name, fields) in enumerate(rows):
        top = _HEAD + at * _ROW + 18
        yield text(0, top - 4, name, kind="name")
        for number, (look, said) in enumerate(fields):
            x = number * width
            yield box(x, top, width - _GAP, _HIGH, f"span {look}" if look else "track")
            if look:
                short = said if len(columns) <= _WIDE else said[:_LETTERS]
                middle = x + (width - _GAP) / 2
                yield text(middle, top + 14, f"{_SIGN.get(look, '')}{short}", anchor="middle", kind="inside")
