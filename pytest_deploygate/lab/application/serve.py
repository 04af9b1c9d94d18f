"""Serve a replica: `python -m pytest_deploygate.lab.application.serve FOLDER NAME PORT`."""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn

from pytest_deploygate.lab.application import app, settings
from pytest_deploygate.lab.state import HOST


def serve(folder: Path, name: str, port: int) -> None:
    """Serve until the process is ended."""
    made = app.make(settings.load(folder), name)
    uvicorn.run(
        made,
        host=HOST,
        port=port,
        log_level="warning",
        access_log=False,
        proxy_headers=True,
        timeout_graceful_shutdown=1,
        server_header=False,
    )


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
