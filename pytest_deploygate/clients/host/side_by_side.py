"""Ask many hosts at once, so that those which do not answer do not keep the others waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

#: A host that has not answered after this time gives its turn to the next one, and is waited for beside it.
_LATE_S = 3.0
_Host = TypeVar("_Host")
_Answer = TypeVar("_Answer")


def side_by_side(
    ask: Callable[[_Host], _Answer], hosts: Sequence[_Host], at_once: int, late_s: float = _LATE_S
) -> list[_Answer]:
    """Return the answers in the order of the hosts; `at_once` are asked at the same time.

    Beside them at most as many that are late are still waited for. So hosts that are down cost the time of one of them and
    hold up nobody, and a machine on which every answer is late is asked for no more than twice as much at once.
    """
    if not hosts:
        return []
    answers: list[Future[_Answer]] = []
    began: dict[Future[_Answer], float] = {}
    with ThreadPoolExecutor(min(2 * at_once, len(hosts)), "hosts") as pool:
        while len(answers) < len(hosts) or began:
            now = time.monotonic()
            prompt = [now - since for since in began.values() if now - since < late_s]
            for host in hosts[len(answers) :][: min(at_once - len(prompt), 2 * at_once - len(began))]:
                answers.append(pool.submit(ask, host))
                began[answers[-1]] = now
                prompt.append(0.0)
            until_late_s = late_s - max(prompt) if prompt else None
            for ended in wait(began, until_late_s, FIRST_COMPLETED).done:
                del began[ended]
    return [answer.result() for answer in answers]
