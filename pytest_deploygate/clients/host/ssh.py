"""Arguments of ssh: one connection for all commands on a host, and none that hangs forever.

Without a shared connection each command logs in again, which takes 0.2 s or more; a restore drill has some forty. The
connections are closed with the process, or half a minute after the last command if it was killed. Source: ssh_config(5).
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import itertools
import shlex
import shutil
import socket
import struct
import tempfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from pytest_deploygate.files import sha256

#: The exit code of ssh itself; all others are the command's. Source: ssh(1).
FAILED = 255
#: A host that is silent for 15 s is considered down; ssh then exits with 255.
_ALIVE = ("-o", "BatchMode=yes", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3")
_KEEP_S = 30
#: Each open connection is a process. Beyond this number they end sooner, so that a large fleet does not fill our memory.
_MANY = 100
_KEEP_OF_MANY_S = 3
_numbers = itertools.count()
#: Requests to the process that holds a connection, which ends with it. Source: OpenSSH's PROTOCOL.mux.
_HELLO, _VERSION, _TERMINATE = 1, 4, 0x10000005
#: A socket's path is at most 107 bytes, of which ssh takes 17 more while it connects.
_LONGEST_FOLDER = 72


def arguments(host: str, keep_s: str = "") -> list[str]:
    """Return the arguments of ssh(1) for a host's shared connection, which is kept for `keep_s` seconds; "0" shares none.

    `?ssh_extra_args=-J%20bastion` in the host's name adds further ones. Of two values of an option ssh takes the first.
    """
    words = [*_ALIVE, *_extra(host)]
    folder = _folder()
    if folder is None or keep_s == "0":
        return words
    path = folder / sha256(host.encode())[:16]
    persist = f"ControlPersist={keep_s or _kept(host)}s"
    return [*words, "-o", "ControlMaster=auto", "-o", persist, "-o", f"ControlPath={path}"]


@functools.cache
def _kept(_host: str) -> int:
    """Return how long a host's connection is kept after its last command, in seconds."""
    return _KEEP_S if next(_numbers) < _MANY else _KEEP_OF_MANY_S


def _extra(host: str) -> list[str]:
    """Return the further arguments of ssh, without those of a shared connection: it has ours."""
    words = shlex.split(parse_qs(urlsplit(host).query).get("ssh_extra_args", [""])[0])
    kept: list[str] = []
    while words:
        word = words.pop(0)
        value = words.pop(0) if word == "-o" and words else word.removeprefix("-o")
        if word.startswith("-o") and value.lower().startswith("control"):
            continue
        kept += [word, value] if word == "-o" else [word]
    return kept


@functools.cache
def _folder() -> Path | None:
    """Return our folder for the sockets; None if its path would be too long."""
    folder = Path(tempfile.mkdtemp(prefix="dg-ssh-"))
    atexit.register(_end, folder)
    return folder if len(str(folder)) <= _LONGEST_FOLDER else None


def _end(folder: Path) -> None:
    """Close the open connections. `ssh -O exit` does the same with a process for each."""
    for path in folder.iterdir():
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as holder:
            holder.settimeout(1.0)
            holder.connect(str(path))
            holder.sendall(struct.pack(">6I", 8, _HELLO, _VERSION, 8, _TERMINATE, 0))
            while holder.recv(1024):
                pass
    shutil.rmtree(folder, ignore_errors=True)
