"""The desk's server: documents, calendars and answers of a tracker from one folder, and redirects from a file in it.

`python -m pytest_deploygate.lab.desk FOLDER PORT`
"""

from __future__ import annotations

import json
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from pytest_deploygate.lab.state import HOST

#: Paths that redirect elsewhere, by path.
REDIRECTS = "redirects.json"


class Handler(SimpleHTTPRequestHandler):
    """Serves files with the time of their last change; no list of a folder."""

    def do_GET(self) -> None:
        """Redirect where the file of redirects says so, else send the file."""
        try:
            moved = json.loads((Path(self.directory) / REDIRECTS).read_text()).get(self.path)
        except (OSError, ValueError):
            moved = None
        if moved:
            self.send_response(302)
            self.send_header("Location", moved)
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            super().do_GET()

    def list_directory(self, _path: object) -> None:
        """Show no list."""
        self.send_error(404)


def main() -> None:
    """Serve until the process ends."""
    folder, port = sys.argv[1], int(sys.argv[2])
    ThreadingHTTPServer((HOST, port), partial(Handler, directory=folder)).serve_forever()


if __name__ == "__main__":
    main()
