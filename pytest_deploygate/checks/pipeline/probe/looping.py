"""An event loop in a thread of its own.

The main thread may be interrupted anywhere when a run is stopped. Within a loop such an interruption could get lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from pytest_deploygate.clients.budget import Spending

T = TypeVar("T")
_POLL_S = 0.05


def in_a_loop(work: Coroutine[Any, Any, T], spending: Spending) -> T:
    """Run it and return its result. Raises what it raises, and Ended; then it is cancelled."""
    began: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []

    async def main() -> T:
        task = asyncio.current_task()
        if task is not None:
            began.append((asyncio.get_running_loop(), task))
        return await work

    with ThreadPoolExecutor(1, "pipeline") as pool:
        running = pool.submit(asyncio.run, main())
        try:
            while True:
                spending.check()
                try:
                    return running.result(_POLL_S)
                except TimeoutError:
                    if running.done():
                        raise
        except BaseException:
            if began and not running.done():
                loop, task = began[0]
                loop.call_soon_threadsafe(task.cancel)
            raise
