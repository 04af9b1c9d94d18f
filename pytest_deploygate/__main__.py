"""`python -m pytest_deploygate …` is `deploygate …`."""

from __future__ import annotations

from pytest_deploygate.cli import main

if __name__ == "__main__":
    main(prog_name="deploygate")
