"""Work of requests comes in; it runs in threads, a few at a time, and the excess is refused."""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from lagotto.web.options import ClientLimits
from lagotto.web.problems import Problem

_Result = TypeVar("_Result")


class Gate:
    """Runs heavy work: a few requests at a time, some waiting, the others told to come again.

    A thread cannot be stopped. A request that takes too long is answered, and its thread keeps its
    place until it ends, so that no more threads compute than are allowed.
    """

    def __init__(self, limits: ClientLimits) -> None:
        self._limits = limits
        self._executor = ThreadPoolExecutor(limits.heavy_at_once, "lagotto-heavy")
        self._present = 0
        self.refused = 0
        self.late = 0

    @property
    def present(self) -> int:
        """How many requests compute or wait."""
        return self._present

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """What the work returns.

        Raises:
            Problem: 429 if too many wait already, 503 if it takes too long.
        """
        limits = self._limits
        if self._present >= limits.heavy_at_once + limits.heavy_waiting:
            self.refused += 1
            raise Problem(
                429,
                f"{limits.heavy_at_once} requests are computed and {limits.heavy_waiting} wait; "
                "ask again in a second",
                headers={"Retry-After": "1"},
            )
        loop = asyncio.get_running_loop()
        self._present += 1
        task = self._executor.submit(work)
        task.add_done_callback(lambda done: self._call_in(loop))
        future = asyncio.wrap_future(task)
        try:
            return await asyncio.wait_for(asyncio.shield(future), limits.seconds)
        except TimeoutError:
            if task.done() and not task.cancelled():
                return task.result()  # the work itself timed out at something
            task.cancel()  # leaves the queue if it has not begun
            future.add_done_callback(_take_note)
            self.late += 1
            raise Problem(
                503,
                f"no answer within {limits.seconds:g} s; ask for less, or again when the server "
                "has less to do",
                headers={"Retry-After": "5"},
            ) from None

    def _call_in(self, loop: asyncio.AbstractEventLoop) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended before the thread
            loop.call_soon_threadsafe(self._leave)

    def _leave(self) -> None:
        self._present -= 1

    def close(self) -> None:
        """Lets the threads go; work that waits is dropped."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def _take_note(future: "asyncio.Future[_Result]") -> None:
    """Looks at a late failure, so that the loop does not warn of one that nobody saw."""
    if not future.cancelled():
        future.exception()
