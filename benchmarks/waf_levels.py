"""At which paranoia level do the reference rule sets block each request of the shipped corpus?

    python benchmarks/waf_levels.py --crs4 FOLDER --python PYTHON          # prints the shares by class and level
    python benchmarks/waf_levels.py --crs4 FOLDER --python PYTHON --write  # and writes corpus/levels.tsv

CRS 3 is Debian's `modsecurity-crs` in nginx with `libnginx-mod-http-modsecurity`, one server for each level. CRS 4 is
FOLDER, a checkout of coreruleset/coreruleset, in the PyPI package `libmodsecurity` of another environment's PYTHON.
Every request is sent at every level; a request counts for the lowest level at which it is blocked (403) while the same
request without the payload is not: from level 3 on, the rules block every upload and every form in parts.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from pytest_deploygate.checks.waf.probe import corpus
from pytest_deploygate.checks.waf.probe.exchange import Connection, Place, wire
from pytest_deploygate.checks.waf.probe.message import Message
from pytest_deploygate.lab.services import waf_config

LEVELS = (1, 2, 3, 4)
_IN_LIBRARY = """
import json, sys
from libmodsecurity import ModSecurity, RulesSet
engine = ModSecurity()
engine.set_log_callback(lambda _: None)
rules = {}
for level, text in json.load(open(sys.argv[1])).items():
    rules[level] = RulesSet()
    rules[level].load(text) if hasattr(rules[level], "load") else rules[level].add(text)
for line in open(sys.argv[2]):
    name, method, target, headers, body = json.loads(line)
    found = {}
    for level, loaded in rules.items():
        with engine.transaction(loaded) as t:
            def stopped():
                it = t.intervention()
                return it.status if it is not None and it.disruptive else 0
            t.process_connection("127.0.0.1", 1, "127.0.0.1", 80)
            status = stopped()
            if not status:
                t.process_uri(target, method, "1.1")
                for key, value in headers:
                    t.add_request_header(key, value)
                t.process_request_headers()
                status = stopped()
            if not status:
                t.append_request_body(bytes.fromhex(body))
                t.process_request_body()
                status = stopped()
            found[level] = status
    print(json.dumps([name, found]), flush=True)
"""


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--crs4", type=Path, required=True)
    parser.add_argument("--python", required=True)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    cases = list(corpus.attacks("/search", "/api/echo"))
    sent = {case.name: case.sent for case in cases}
    controls = {_control(case): case.control for case in cases}
    every = ["plain", "names", "json", "graphql", "base64", "upload", "prose", "code"]
    usual = {f"usual {u.name}": u.sent for u in corpus.ordinary("/search", "/api/echo", every)}
    requests = sent | controls | usual
    with tempfile.TemporaryDirectory() as folder:
        found = {"crs-3": nginx(Path(folder), requests), "crs-4": library(Path(folder), requests, options)}
    lowest = {
        rules: {case.name: _lowest(each[case.name], each[_control(case)]) for case in cases}
        for rules, each in found.items()
    }
    report(found, lowest, {**controls, **usual})
    if options.write:
        write(lowest, list(sent))


def nginx(folder: Path, requests: Mapping[str, Message]) -> dict[str, dict[int, int]]:
    """Return the status of each request at each level with CRS 3 in nginx."""
    ports = dict(zip(LEVELS, free(len(LEVELS)), strict=True))
    (folder / "tmp").mkdir()
    for level in LEVELS:
        (folder / f"{level}.conf").write_text(waf_config.engine(folder, level=level))
    text = waf_config.configuration(folder, {ports[n]: folder / f"{n}.conf" for n in LEVELS})
    (folder / "nginx.conf").write_text(text)
    server = subprocess.Popen(["nginx", "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr"])
    try:
        return {
            name: {n: status(Connection(place(ports[n])), message) for n in LEVELS}
            for name, message in requests.items()
        }
    finally:
        server.terminate()
        server.wait(10)


def free(number: int) -> list[int]:
    """Return ports that nothing uses."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def place(port: int) -> Place:
    """Return the place of a server here."""
    return Place("127.0.0.1", port, "localhost", None, {}, 10.0)


def status(connection: Connection, message: Message) -> int:
    """Send a request; wait for a server that is starting. Returns 0 for no answer."""
    for _ in range(100):
        answer = connection.ask_uncounted(message)
        if answer.status is not None or "refused" not in answer.problem:
            break
        time.sleep(0.1)
    connection.close()
    return answer.status or 0


def library(
    folder: Path, requests: Mapping[str, Message], options: argparse.Namespace
) -> dict[str, dict[int, int]]:
    """Return the status of each request at each level with CRS 4 in the library; 0 where it was not stopped."""
    texts = {n: waf_config.engine(folder, level=n, rules=options.crs4 / "rules", setup=4000) for n in LEVELS}
    (folder / "rules.json").write_text(json.dumps(texts))
    lines = []
    for name, message in requests.items():
        head = wire(message, place(80)).split(b"\r\n\r\n", 1)[0].decode().split("\r\n")[1:]
        headers = [line.split(": ", 1) for line in head]
        lines.append(json.dumps([name, message.method, message.target, headers, message.body.hex()]))
    (folder / "requests").write_text("\n".join(lines))
    (folder / "ask.py").write_text(_IN_LIBRARY)
    done = subprocess.run(
        [options.python, folder / "ask.py", folder / "rules.json", folder / "requests"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {name: {int(n): code for n, code in found.items()} for name, found in rows}


def _control(case: corpus.Case) -> str:
    return f"control of {case.control.method} in {case.placement} ({case.attack_class == 'upload'})"


def _lowest(attack: Mapping[int, int], control: Mapping[int, int]) -> int | None:
    return next((n for n in LEVELS if attack[n] == 403 and control[n] != 403), None)


def report(
    found: Mapping[str, Mapping[str, Mapping[int, int]]],
    lowest: Mapping[str, Mapping[str, int | None]],
    others: Mapping[str, Message],
) -> None:
    """Print the shares by class, and what is odd."""
    for rules, each in found.items():
        counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
        for name, level in lowest[rules].items():
            placed = name.split("/")
            for group in ("all", name.partition(".")[0], f"in {placed[1]}", f"as {placed[2]}"):
                counts[group][0] += 1
                for n in LEVELS:
                    counts[group][n] += level is not None and level <= n
        print(f"\n{rules:14} requests  level 1  level 2  level 3  level 4")
        for group, (total, *blocked) in counts.items():
            print(f"{group:14} {total:8}" + "".join(f"{100 * k / total:8.1f}%" for k in blocked))
        odd = {
            name: dict(each[name]) for name in lowest[rules] if set(each[name].values()) - {0, 200, 403, 404}
        }
        print("neither blocked nor passed:", odd or "none")
        for name in others:
            if 403 in each[name].values():
                print("ordinary, blocked from level", min(n for n in LEVELS if each[name][n] == 403), name)


def write(lowest: Mapping[str, Mapping[str, int | None]], names: list[str]) -> None:
    """Write the table of levels."""
    lines = [
        f"# The lowest paranoia level at which a rule set blocks each attack of corpus {corpus.version()}; - is none.",
        "# Measured by benchmarks/waf_levels.py; do not edit.",
        "\t".join(["request", *lowest]),
    ]
    lines += ["\t".join([name, *(str(each[name] or "-") for each in lowest.values())]) for name in names]
    (corpus.FOLDER / "levels.tsv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
