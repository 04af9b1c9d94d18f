"""The same attempts on a host without Python, by what it has: bash, or nc for TCP alone. A POSIX shell runs them.

The answer has the lines of `attempts`. bash waits by its own clock, so that a busy host's slow start of programs is not
taken for a filter; a wait that took much longer than it should is our own lag. A group of attempts ends before the next
begins, so that few are under way.
"""

from __future__ import annotations

import shlex

from pytest_deploygate.checks.firewall.probe.attempts import ASKED

_AT_ONCE = 30
#: bash's printf takes what is sent in octal.
_QUESTIONS = {
    protocol: "".join(f"\\{byte:03o}" for byte in bytes.fromhex(asked[0]))
    for protocol, asked in ASKED.items()
}
#: What bash, the nc of OpenBSD, busybox' and Nmap's say, with LC_ALL=C. Signals and exit codes are those of `timeout`.
_SCRIPT = r"""
over='[ $SECONDS -gt $(($2 + 1)) ] && echo was late || echo timed out; exit 1; }'
TCP='exec 3< <(exec 2>&1; : <>"/dev/tcp/$0/$1" && echo connected); SECONDS=0; read -r -t $2 line <&3
[ $? -gt 128 ] && { kill $! 2>/dev/null; '"$over"'; [ "$line" = connected ] || { echo "$line"; exit 1; }'
UDP='exec 3<>"/dev/udp/$0/$1" && printf "$3" >&3 || exit 1; SECONDS=0; read -r -t $2 -N 1 -u 3 answer; code=$?
[ $code -gt 128 ] && { '"$over"'; exit $code'
tool=
if command -v bash >/dev/null && timeout 5 true; then tool=bash
elif command -v nc >/dev/null; then
  tool=nc
  nc -h 2>&1 | grep -q BusyBox && tool='nc of busybox'
elif busybox nc --help 2>&1 | grep -q Usage; then tool='busybox nc'
fi
echo "with $tool"
question() {
  case $1 in
QUESTIONS
  esac
}
once() {
  case "$1 $tool" in
    'tcp bash') said=$(timeout $((W + 5)) bash -c "$TCP" "$2" "$3" $W 2>&1) ;;
    *bash) said=$(timeout $((W + 5)) bash -c "$UDP" "$2" "$3" $W "$(question "$1")" 2>&1) ;;
    'tcp nc') said=$(nc -z -v -n -w $W "$2" "$3" </dev/null 2>&1) ;;
    'tcp nc of busybox') said=$(nc -w $W "$2" "$3" -e /bin/true </dev/null 2>&1) ;;
    'tcp busybox nc') said=$(busybox nc -w $W "$2" "$3" -e /bin/true </dev/null 2>&1) ;;
    *) said=untried; return ;;
  esac
  case "$? $said" in
    0*) said=o ;;
    *refused*) said=r ;;
    124*|137*|143*|*' late') said=l ;;
    *'timed out'*|*'n progress'*) said=s ;;
    *'etwork is unreachable'*|*'Cannot assign'*|*'Address family'*|*'Invalid argument'*) said=n ;;
    *'o route to host'*|*'is unreachable'*|*'ermission denied'*|*'rohibited'*|*'not permitted'*) said=u ;;
    *) said=x ;;
  esac
}
try() {
  once "$@"
  case $said in s|l) once "$@" ;; esac
  case $said in ?) ;; *) said=x ;; esac
  echo "$said $1 $2 $3"
}
began=$(date +%s) n=0 over=
[ "$tool" ] || over=x
all() {
  while read -r protocol address ports; do
    IFS=,; set -- $ports; IFS=' '
    for range; do
      port=${range%-*}
      while [ "$port" -le "${range#*-}" ]; do
        if [ "$over" ]; then echo "x $protocol $address $port"; port=$((port + 1)); continue; fi
        try "$protocol" "$address" "$port" &
        port=$((port + 1)) n=$((n + 1))
        if [ $n -ge AT_ONCE ]; then
          wait; n=0
          [ $(($(date +%s) - began)) -ge WITHIN ] && over=x
        fi
      done
    done
  done
  wait
}
printf '%s\n' PLAN | tr ';' '\n' | all
"""


def script(plan: str, timeout_s: float, within_s: float) -> str:
    """Return the shell commands; the lines of the plan are separated by `;`."""
    questions = "\n".join(
        f"    {name}) printf %s {shlex.quote(said)} ;;" for name, said in _QUESTIONS.items()
    )
    filled = _SCRIPT.replace("QUESTIONS", questions)
    for name, value in (("AT_ONCE", _AT_ONCE), ("WITHIN", int(within_s)), ("PLAN", shlex.quote(plan))):
        filled = filled.replace(name, str(value))
    # A whole number of seconds is what every `timeout` and `nc` takes.
    return f"W={max(1, round(timeout_s))}\n{filled.strip()}"
