"""An nginx with limits, for the tests of what sends bursts."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

NGINX = shutil.which("nginx") or ("/usr/sbin/nginx" if Path("/usr/sbin/nginx").exists() else "")
CONFIGURATION = """daemon off; master_process off; pid {folder}/pid; error_log stderr crit;
events {{ worker_connections 512; }}
http {{
  access_log {folder}/access.log; default_type text/plain;
  log_format all '$http_user_agent|$http_deploygate_probe|$remote_addr|$status'; access_log {folder}/sent.log all;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  client_header_timeout 1s; client_body_timeout 1s; keepalive_timeout {keepalive}; send_timeout 1s;
  root {folder}/pages;
  limit_req_zone $binary_remote_addr zone=z:1m rate={rate};
  limit_req_status 429; {zones}
  server {{ listen 127.0.0.1:{port}{tls}; {listens} {limit} {more} }}
}}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def nginx(
    folder: Path,
    limit: str,
    *,
    rate: str = "20r/s",
    tls: str = "",
    keepalive: str = "1s",
    more: str = "",
    zones: str = "",
    address: str = "",
) -> Iterator[int]:
    """Run nginx with a page `/search`, at a further address if one is given; yield its port."""
    folder.chmod(0o755)
    (folder / "pages").mkdir()
    (folder / "pages" / "search").write_text("found\n")
    with (folder / "pages" / "large").open("wb") as large:
        large.truncate(24 << 20)
    port = free_port()
    text = CONFIGURATION.format(
        folder=folder,
        port=port,
        limit=limit,
        rate=rate,
        tls=tls,
        keepalive=keepalive,
        more=more,
        zones=zones,
        listens=f"listen {address}:{port};" if address else "",
    )
    (folder / "nginx.conf").write_text(f"user root;\n{text}")
    running = subprocess.Popen([NGINX, "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")])
    try:
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
                break
            time.sleep(0.05)
        yield port
    finally:
        running.terminate()
        running.wait(10)
