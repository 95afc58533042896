"""Memory guard: a limit for a command's processes where no control group limits them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil

from factory.errors import CommandFailed
from factory.util import cancellation
from factory.util.process import Guard
from factory.util.process_tree import process_tree
from factory.util.repetition import repeated

POLL_SECONDS = 0.5


@contextmanager
def memory_guard(limit: int) -> Iterator[Guard]:
    """End the body's command at `limit` bytes of memory; yields its guard.

    Raises:
        CommandFailed: the limit was reached. Its output is that of a machine without memory.
    """
    with cancellation.nested() as stop:

        def end_if_over(process: int) -> bool:
            over = _memory(process, limit) > limit
            if over:
                stop.request(lambda: _ended(limit))
            return over

        yield lambda process: repeated(POLL_SECONDS, lambda: end_if_over(process))


def _memory(root: int, limit: int) -> int:
    """Return the memory of a process and those below it.

    Shared pages are counted once if the sum is over the limit.
    """
    tree = process_tree(root)
    resident = sum(_of(each, lambda process: process.memory_info().rss) for each in tree)
    if resident <= limit:
        return resident
    return sum(_of(each, lambda process: process.memory_full_info().pss) for each in tree)


def _of(process: psutil.Process, measure: Callable[[psutil.Process], int]) -> int:
    with suppress(psutil.Error):  # it has ended
        return measure(process)
    return 0


def _ended(limit: int) -> CommandFailed:
    message = f"ended at the limit of {limit / 1e9:.1f} GB of memory"
    return CommandFailed(message, output=f"# out of memory: {message}")
