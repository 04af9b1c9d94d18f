"""Which part of a run this one is: by `--shard I/N`, or by what the pipeline says in the environment.

Parts of a run are measured at the same time, in separate folders, and `deploygate merge` makes one record of them.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

import pytest

from pytest_deploygate.decision.runs import joined
from pytest_deploygate.inventory.loader import Loaded
from pytest_deploygate.journal import FILE, JournalError, read, segments
from pytest_deploygate.lazy import dataclass

#: The folder below a change's folder where its shards write, each to a folder `I-of-N`.
FOLDER = "shards"
#: How many shards there are, where only the number of this one is told (Kubernetes).
TOTAL = "DEPLOYGATE_SHARDS"
#: Which run a shard belongs to, where no pipeline tells; those of a pipeline keep their value when a job is run again.
BELONGS = ("DEPLOYGATE_SHARDS_RUN", "GITHUB_RUN_ID", "CI_PIPELINE_ID", "CIRCLE_WORKFLOW_ID", "BUILD_BUILDID")
#: A word that all shards have and no record: with it the merge can tell whether their secrets are the same.
SECRETS_KEY = "DEPLOYGATE_SHARDS_KEY"
_SHORTEST_KEY = 16
_MOST = 1000
_GIVEN = re.compile(r"([0-9]{1,4})/([0-9]{1,4})")
#: Kubernetes: the number of a pod of an Indexed Job.
_KUBERNETES = "JOB_COMPLETION_INDEX"


@dataclass(frozen=True)
class Shard:
    """Part `index` of `of`, from 1 on.

    `said_by` is the option or variable that says so. `belongs` names the pipeline's run, empty outside of one. `seconds`
    is how long each test took in the recorded run that `durations` is the digest of. `settings` is a digest of what the
    inventory's references stand for here, without secrets; `secrets` has a digest of each secret by its reference, keyed by
    `SECRETS_KEY`, and under that name one of the key. It is empty without a key.
    """

    index: int
    of: int
    said_by: str
    belongs: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    durations: str = ""
    settings: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """The shard as it is shown: `shard 2 of 4`."""
        return f"shard {self.index} of {self.of}"

    @property
    def folder(self) -> str:
        """Where it writes, below the folder of its change."""
        return f"{FOLDER}/{self.index}-of-{self.of}"


def read_shard(
    given: str | None, durations: Path | None, loaded: Loaded, environ: Mapping[str, str] = os.environ
) -> Shard | None:
    """Return the shard that this run is; None if it is a whole run. Raises pytest.UsageError."""
    said_by, index, of = ("--shard", *_given(given)) if given is not None else _told(environ)
    if of == 1:
        return None
    seconds, digest = _recorded(durations) if durations else ({}, "")
    belongs = next((f"{name}={environ[name]}" for name in BELONGS if environ.get(name)), "")
    return Shard(index, of, said_by, belongs, seconds, digest, _settings(loaded), _secrets(loaded, environ))


def shared_by_hosts(config: pytest.Config, out: str) -> None:
    """Refuse workers on other hosts that would write their evidence where the controller does not see it."""
    specs = getattr(config.option, "tx", None) or ()
    # The first part is the kind of host, perhaps with a number before it: `2*popen//python=python3.12`.
    elsewhere = [spec for spec in specs if spec.partition("//")[0].rpartition("*")[2] != "popen"]
    if elsewhere and not Path(out).is_absolute():
        raise pytest.UsageError(
            f"--tx {elsewhere[0]}: workers on other hosts write their evidence to the same folder as this process: name one "
            "that all of them share, as an absolute path: --deploygate-out=/shared/CHG-1234; or use --shard, which needs none"
        )


def _given(text: str) -> tuple[int, int]:
    found = _GIVEN.fullmatch(text.strip())
    if not found:
        raise pytest.UsageError(f"--shard {text!r}: write the number of the shard and of all, such as 2/4")
    return _checked(int(found[1]), int(found[2]), f"--shard {text}")


def _checked(index: int, of: int, where: str) -> tuple[int, int]:
    if not 1 <= of <= _MOST or not 1 <= index <= of:
        raise pytest.UsageError(
            f"{where}: there is no shard {index} of {of}; they go from 1 to at most {_MOST}"
        )
    return index, of


def _told(environ: Mapping[str, str]) -> tuple[str, int, int]:
    """Return what the pipeline says; shard 1 of 1 if it says nothing."""
    for number, total, first in (
        ("CI_NODE_INDEX", "CI_NODE_TOTAL", 1),  # GitLab
        ("CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL", 0),
    ):
        if number not in environ or total not in environ:
            continue
        index, of = _number(environ, number) - first + 1, _number(environ, total)
        # GitLab sets both for `parallel: matrix` as well, where each job has an inventory of its own to run whole.
        name = environ.get("CI_JOB_NAME", "")
        if number == "CI_NODE_INDEX" and name and not name.endswith(f"{index}/{of}"):
            continue
        return (number, *_checked(index, of, f"{number}={environ[number]}, {total}={environ[total]}"))
    if _KUBERNETES in environ:
        if TOTAL not in environ:
            raise pytest.UsageError(
                f"{_KUBERNETES} is set, so this is a pod of an Indexed Job, but Kubernetes does not tell of how many: "
                f"set {TOTAL} to the job's completions, or run everything here with --shard 1/1"
            )
        index, of = _number(environ, _KUBERNETES) + 1, _number(environ, TOTAL)
        return (_KUBERNETES, *_checked(index, of, f"{_KUBERNETES}={environ[_KUBERNETES]}, {TOTAL}={of}"))
    return "", 1, 1


def _number(environ: Mapping[str, str], name: str) -> int:
    text = environ[name]
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise pytest.UsageError(f"{name}={text!r} is not a number; --shard I/N says it on the command line")
    return int(text)


def _recorded(path: Path) -> tuple[dict[str, float], str]:
    """Return how long each test took when it last ran in a recorded change, and the head of that journal."""
    folder = path.parent if path.name == FILE else path
    try:
        entries, _ = read(folder)
        runs = segments(entries)
    except JournalError as error:
        raise pytest.UsageError(f"--shard-durations {path}: {error}") from None
    if not runs:
        raise pytest.UsageError(f"--shard-durations {path}: there is no journal of a run in {folder}")
    found: dict[str, float] = {}
    for run in runs:
        for test in joined(run):
            # A finding lasts from the one before on, and a test that is bound to two items has each finding twice.
            by_item: defaultdict[str, float] = defaultdict(float)
            for finding in test.findings:
                by_item[finding.item] += finding.duration_s
            found[test.test] = max(by_item.values(), default=0.0)
    return found, entries[-1].sha256


def _settings(loaded: Loaded) -> str:
    """Return a digest of the values that the inventory refers to, without secrets."""
    values = sorted({(name, value) for name, value in loaded.values if name not in loaded.secrets})
    return hashlib.sha256(json.dumps([loaded.sha256, values]).encode()).hexdigest()


def _secrets(loaded: Loaded, environ: Mapping[str, str]) -> dict[str, str]:
    """Return a keyed digest of each secret that the inventory refers to. Raises pytest.UsageError for a short key."""
    key = environ.get(SECRETS_KEY, "").encode()
    if not key:  # a pipeline sets a variable that nobody has defined to nothing
        return {}
    if len(key) < _SHORTEST_KEY:
        raise pytest.UsageError(
            f"{SECRETS_KEY} has {len(key)} characters: secrets could be guessed from their digests; use at least {_SHORTEST_KEY}"
        )

    def digest(*of: str) -> str:
        return hmac.new(key, json.dumps([loaded.sha256, *of]).encode(), hashlib.sha256).hexdigest()[:32]

    values = {name: digest(name, value) for name, value in loaded.values if name in loaded.secrets}
    return {SECRETS_KEY: digest(SECRETS_KEY), **dict(sorted(values.items()))}
