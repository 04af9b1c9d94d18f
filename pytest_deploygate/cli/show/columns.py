"""Tables without lines."""

from __future__ import annotations

from rich.table import Table


def columns(*names: str) -> Table:
    """Return an empty table whose cells are folded, not cut."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(name, overflow="fold")
    return table
