"""`deploygate serve`: what it refuses, before it listens."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from pytest_deploygate.cli import main


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--host", "0.0.0.0"], "needs --name HOST"),
        (["--host", "::1"], "takes an IPv4 address"),
        (["--token-file", "absent"], "cannot be read as a token"),
        (["--token-file", "short"], "16 or more printable"),
        (["--allowed-signers", "absent"], "there is no such file"),
    ],
)
def test_refusals_are_sentences(tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short").write_text("secret-1\n")
    result = CliRunner().invoke(main, ["serve", "--out", str(tmp_path), *arguments])
    assert result.exit_code in {2, 4}
    assert says in result.output
    assert "secret-1" not in result.output
