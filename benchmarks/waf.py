"""The shipped corpus at 16 connections, beside a plain load tool that sends the same requests to the same server.

    apt install wrk nginx libnginx-mod-http-modsecurity modsecurity-crs
    python benchmarks/waf.py [--wrk PROGRAM] [--runs 5] [--connections 16]

One nginx (one process) with ModSecurity and OWASP CRS on loopback. Both take turns: the whole measurement of `sec.waf`
(reading the corpora, controls, sentinels, classifying, budget with its control), and wrk with a script that sends the
same bytes in the same number. wrk's time is from its first request to its last answer, without its start. Limit: 1.3 times wrk's time.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from pytest_deploygate.checks.waf.probe import corpus, measure, message
from pytest_deploygate.checks.waf.probe.exchange import Place, wire
from pytest_deploygate.checks.waf.section import USUAL, Waf
from pytest_deploygate.clients.budget import Budget
from pytest_deploygate.clients.ledger import Ledger
from pytest_deploygate.judging.spending import Bounds
from pytest_deploygate.lab.services import waf_config

_SCRIPT = """
local ffi = require("ffi")
ffi.cdef("typedef struct { long s; long us; } dg_time; int gettimeofday(dg_time *, void *);")
local function now()
  local t = ffi.new("dg_time")
  ffi.C.gettimeofday(t, nil)
  return tonumber(t.s) + tonumber(t.us) / 1e6
end
local number, answered, total, began = 0, 0, %d, nil
local messages = {%s}
request = function()
  began = began or now()
  number = number + 1
  return messages[(number - 1) %% #messages + 1]
end
response = function()
  answered = answered + 1
  -- wrk itself goes on until its time is over.
  if answered == total then
    io.write(string.format("took %%.4f ", now() - began))
    io.flush()
    os.exit(0)
  end
end
"""


def main() -> None:
    """Measure in turn, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--wrk", default="wrk")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, socket.create_server(("127.0.0.1", 0)) as taken:
        folder, port = Path(name), int(taken.getsockname()[1])
        taken.close()
        (folder / "tmp").mkdir()
        (folder / "rules.conf").write_text(waf_config.engine(folder))
        (folder / "nginx.conf").write_text(waf_config.configuration(folder, {port: folder / "rules.conf"}))
        server = subprocess.Popen(["nginx", "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr"])
        try:
            time.sleep(3)
            turns(folder, port, options, server.pid)
        finally:
            server.terminate()
            server.wait(10)


def turns(folder: Path, port: int, options: argparse.Namespace, server: int) -> None:
    """Run both in turn; the first turn is not counted."""
    waf = Waf.model_validate(
        {"url": f"http://127.0.0.1:{port}", "headers": {"Host": "shop.example.com"}, "read": "/search",
         "write": "/api/echo", "crs": 3, "no_origins": "a server of the benchmark", "connections": options.connections}
    )  # fmt: skip
    ours, theirs, cpu, sent = [], [], [], 0
    served: list[tuple[float, float]] = []
    for turn in range(options.runs + 1):
        # On a busy machine the control would end a run that only waits for its processor.
        budget = Budget("sec.waf", Ledger(), bounds=Bounds(slower_s=30))
        corpus._read.cache_clear()  # noqa: SLF001 (a gate reads it once)
        began, used, before = time.perf_counter(), time.process_time(), processor_s(server)
        run = measure.measure(waf, budget, {})
        took, used = time.perf_counter() - began, time.process_time() - used
        between = processor_s(server)
        assert not run.ended
        sent = run.requests
        other = wrk(folder, port, sent, options)
        if turn:
            ours.append(took)
            cpu.append(used)
            theirs.append(other)
            served.append((between - before, processor_s(server) - between))
    ratio = [a / b for a, b in zip(ours, theirs, strict=True)]
    print(f"{sent} requests at {options.connections} connections, medians of {options.runs} runs")
    print(f"lowest: sec.waf {min(ours):.2f} s, wrk {min(theirs):.2f} s, ratio {min(ours) / min(theirs):.2f}")
    print(f"sec.waf  {statistics.median(ours):6.2f} s  (our processor time {statistics.median(cpu):.2f} s)")
    print(f"wrk      {statistics.median(theirs):6.2f} s")
    print(
        f"ratio    {statistics.median(ratio):6.2f}    (each: {', '.join(f'{r:.2f}' for r in ratio)}; limit 1.3)"
    )
    for_us, for_wrk = (statistics.median(each) for each in zip(*served, strict=True))
    mine = statistics.median(cpu)
    print(
        f"processor time: we {mine:.2f} s, the server {for_us:.2f} s for us and {for_wrk:.2f} s for wrk: on two free processors the "
        f"ratio is between {max(mine, for_us) / for_wrk:.2f} (side by side) and {(mine + for_us) / for_wrk:.2f} (in turn)"
    )
    print(json.dumps({"load": [round(n, 1) for n in os.getloadavg()], "cpus": os.cpu_count()}))


def processor_s(process: int) -> float:
    """Return the processor time that a process has used: it hardly depends on what else runs."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wrk(folder: Path, port: int, number: int, options: argparse.Namespace) -> float:
    """Send the same requests with wrk; return its time in seconds."""
    place = Place("127.0.0.1", port, "shop.example.com", None, {"Host": "shop.example.com"}, 10.0)
    sent = [case.sent for case in corpus.attacks("/search", "/api/echo")]
    sent += [one.sent for one in corpus.ordinary("/search", "/api/echo", list(USUAL))]
    sent += [message.plain("/search")] * (number - len(sent))
    texts = ",".join('"' + "".join(f"\\{byte:03d}" for byte in wire(each, place)) + '"' for each in sent)
    (folder / "corpus.lua").write_text(_SCRIPT % (number, texts))
    done = subprocess.run(
        [options.wrk, "-t1", f"-c{options.connections}", "-d120s", "--timeout", "60s", "-s", folder / "corpus.lua",
         f"http://127.0.0.1:{port}/"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return float(re.search(r"took ([\d.]+)", done.stdout)[1])  # type: ignore[index]


if __name__ == "__main__":
    main()
