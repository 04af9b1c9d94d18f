"""The file of differences as Parquet has the same lines, with nulls and numbers."""

from __future__ import annotations

from pytest_deploygate.comparison import differences, parquet
from pytest_deploygate.comparison.differences import Difference


def test_the_same_lines(tmp_path, monkeypatch):
    from pyarrow.parquet import read_table

    monkeypatch.setattr(parquet, "_LINES", 2)
    found = [
        Difference("app.a", "1", "changed", "note", None, 'several\nlines, "quoted"'),
        Difference("app.a", "2", "missing", "", '{"id": "2"}', None),
        Difference("app.b", "", "extra", "", None, "{}", rows=3),
    ]  # fmt: skip
    part = tmp_path / "part.csv"
    writer = differences.Writer(part)
    writer.write(found)
    writer.close()
    differences.joined([part], tmp_path / differences.NAME)
    path = parquet.write(tmp_path)
    assert read_table(path).to_pylist() == [
        {name: getattr(one, name) for name in differences.FIELDS} for one in found
    ]
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_no_difference_is_a_file_without_lines(tmp_path):
    from pyarrow.parquet import read_table

    differences.joined([], tmp_path / differences.NAME)
    assert read_table(parquet.write(tmp_path)).num_rows == 0


def test_what_is_missing_is_said(monkeypatch):
    assert parquet.missing() == ""
    monkeypatch.setattr(parquet, "find_spec", lambda _name: None)
    assert "pip install 'pytest-deploygate[parquet]'" in parquet.missing()
