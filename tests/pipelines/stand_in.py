"""Stands in for `pytest`, `deploygate` and what a pipeline's script calls besides: writes down how it was called.

As `pytest` it finds its shard as a run does, and leaves a record in that shard's folder. Its exit code is that of the
variable EXIT_PYTEST, EXIT_MERGE and so on; 0 without one.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

FIRST_IS_0 = (("CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL"), ("JOB_COMPLETION_INDEX", "DEPLOYGATE_SHARDS"))


def shard(words: list[str]) -> str:
    """Return `I/N`, from the command line or the CI's variables."""
    if "--shard" in words:
        return words[words.index("--shard") + 1]
    if "CI_NODE_INDEX" in os.environ:
        return f"{os.environ['CI_NODE_INDEX']}/{os.environ['CI_NODE_TOTAL']}"
    for index, total in FIRST_IS_0:
        if index in os.environ:
            return f"{int(os.environ[index]) + 1}/{os.environ[total]}"
    return ""


def main() -> None:
    name, words = Path(sys.argv[0]).name, sys.argv[1:]
    called = {"name": name, "words": words, "run": os.environ.get("DEPLOYGATE_SHARDS_RUN", ""), "merged": []}
    if name == "pytest":
        called["shard"] = shard(words)
        if called["shard"]:
            change = words[words.index("--change") + 1]
            folder = Path("deploygate-out", change, "shards", called["shard"].replace("/", "-of-"))
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "journal.jsonl").write_text(os.environ.get("MARK", ""))
    elif words[:1] == ["merge"]:
        found = [*map(Path, words[1:]), *(within for place in words[1:] for within in Path(place).glob("*"))]
        called["merged"] = sorted(
            [folder.name, (folder / "journal.jsonl").read_text()]
            for folder in found
            if (folder / "journal.jsonl").is_file()
        )
    elif words[:2] == ["-m", "venv"]:
        (Path(words[2]) / "bin").mkdir(parents=True)
        (Path(words[2]) / "bin" / "activate").touch()
    with Path(os.environ["CALLED"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(called) + "\n")
    what = name if name != "deploygate" else words[0]
    sys.exit(int(os.environ.get(f"EXIT_{what.upper()}", "0")))


main()
