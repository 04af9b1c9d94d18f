"""What Prometheus remembers from before the lab was up: blocks of samples, made by its own backfill (promtool).

A service gives its lines with `Service.history`; they are there when Prometheus starts. `replace` changes what is
remembered while Prometheus runs, within a second.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlencode

from pytest_deploygate.lab import nodes, processes
from pytest_deploygate.lab.state import HOST, Lab, LabError

PROMTOOL = "promtool"
#: It takes a second or two, and a minute on a machine where much else runs.
_PROMTOOL_S = 300.0
#: A series that no inventory names: what is deleted of it makes Prometheus read its blocks again.
_SPARE = "lab_history_spare"


def samples(name: str, labels: Mapping[str, str], values: Iterable[tuple[float, float]]) -> list[str]:
    """Return OpenMetrics lines of one series: values are (seconds since 1970, value), in order of time.

    To be continued by what is scraped later, the labels must have the target's `job` and `instance`.
    """
    given = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return [f"{name}{{{given}}} {value} {at:.3f}" for at, value in values]


def backfill(lab: Lab, folder: Path, lines: Sequence[str]) -> None:
    """Write blocks of these lines into `folder`/data. A Prometheus that runs sees them within a minute. Raises LabError."""
    if not lines:
        return
    file = folder / "history.om"
    nodes.put(lab, file, "\n".join([*lines, "# EOF", ""]))
    argv = [lab.programs[PROMTOOL], "tsdb", "create-blocks-from", "openmetrics", "--quiet"]
    processes.run([*argv, str(file), str(folder / "data")], user=lab.user, timeout_s=_PROMTOOL_S)
    file.unlink()


def replace(
    lab: Lab,
    port: int,
    folder: Path,
    selectors: Sequence[str],
    within: tuple[float, float],
    lines: Sequence[str],
) -> None:
    """Forget what Prometheus has of these series between two times (seconds since 1970), and put lines in its place.

    Only for times before Prometheus started. Raises LabError.
    """
    forget(port, selectors, within)
    # Blocks are read again once a minute, or when there is something deleted to be cleaned up.
    _admin(port, "delete_series", [("match[]", _SPARE)])
    backfill(lab, folder, [*lines, *spare(within[0])])
    _admin(port, "clean_tombstones", [])


def forget(port: int, selectors: Sequence[str], within: tuple[float, float]) -> None:
    """Have Prometheus forget what it has of these series between two times (seconds since 1970). Raises LabError."""
    if not selectors:
        return
    start, end = (f"{at:.3f}" for at in within)
    _admin(
        port, "delete_series", [("match[]", text) for text in selectors] + [("start", start), ("end", end)]
    )


def spare(at: float) -> list[str]:
    """Return the line that each history has, so that there is always something that can be deleted."""
    return samples(_SPARE, {}, [(at, 0.0)])


def _admin(port: int, path: str, question: Sequence[tuple[str, str]]) -> None:
    address = f"http://{HOST}:{port}/api/v1/admin/tsdb/{path}?{urlencode(question)}"
    try:
        urllib.request.urlopen(urllib.request.Request(address, method="POST"), timeout=90).close()
    except urllib.error.HTTPError as error:
        said = error.read().decode(errors="replace")[:200]
        raise LabError(f"Prometheus refuses {path}: {said}") from None
    except OSError as error:
        raise LabError(f"Prometheus does not answer to {path}: {error}") from None
