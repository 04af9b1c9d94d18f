"""Scripts on other hosts that end with their connection: a stop here ends them there within a second.

A server of SSH lets a command go on when its client is gone. But it closes the command's standard input, which we hold open
as long as we wait. So a script of ours runs beside a loop that reads it, and is killed with all that it started when that ends.
"""

from __future__ import annotations

import shlex

#: Connections of which the standard input reaches the host, and is closed with them.
_HELD = ("ssh://",)
#: `$1` is the script; what it prints and its exit code are those of the whole. Written for the shells of Debian, RHEL and
#: busybox. A process's children are read in /proc (since Linux 3.5); elsewhere only the script itself is killed.
_TIED = """exec 3<&0 </dev/null
below() { for pid in $(cat /proc/$1/task/*/children); do doomed="$doomed $pid"; below $pid; done; }
sh -c "$1" 3<&- & ran=$!
(
  while IFS= read -r line <&3; do :; done
  trap '' TERM
  doomed=$ran
  below $ran
  kill -TERM $doomed
  sleep 0.3 || sleep 1
  kill -KILL $doomed
) >/dev/null 2>&1 & watch=$!
exec 3<&-
wait $ran; code=$?
kill $watch 2>/dev/null
exit $code"""


def is_held(host: str) -> bool:
    """Whether scripts on a testinfra host end with their connection."""
    return host.startswith(_HELD)


def script(host: str, text: str) -> str:
    """Return a script that ends with its connection; on a host for which that is not known, the script as it is.

    It must be run with a standard input that stays open (`shell(…, tied=True)`), and finds nothing there itself.
    """
    return f"sh -c {shlex.quote(_TIED)} deploygate {shlex.quote(text)}" if is_held(host) else text
