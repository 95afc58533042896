"""Ending a run before its time: at a time limit, or because a person interrupts it.

A run works under a `Stop`. Whoever wants the run to end asks it; what takes time looks at it before it begins, and
says how it is ended while it works.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Stop:
    """The wish to end a run. Safe to ask from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reason: Callable[[], BaseException] | None = None
        self._ends: list[Callable[[], None]] = []

    def request(self, reason: Callable[[], BaseException]) -> None:
        """End what works now and let nothing begin; `reason()` is raised there. Returns when all of it has ended."""
        with self._lock:
            self._reason = self._reason or reason
            ends = list(self._ends)
        threads = [threading.Thread(target=end, daemon=True) for end in ends]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    @property
    def requested(self) -> bool:
        """Whether nothing may begin any more."""
        return self._reason is not None

    def check(self) -> None:
        """Raise the reason, if the end was requested."""
        if self._reason is not None:
            raise self._reason()

    @contextmanager
    def ended_by(self, end: Callable[[], None]) -> Iterator[None]:
        """While the body runs, `end()` is what makes it end early."""
        with self._lock:
            self._ends.append(end)
            requested = self._reason is not None
        if requested:
            end()
        try:
            yield
        finally:
            with self._lock:
                self._ends.remove(end)


_current: ContextVar[Stop | None] = ContextVar("stop", default=None)
_never = Stop()


def current() -> Stop:
    """The Stop that this thread works under; outside of a run, one that nobody asks."""
    return _current.get() or _never


@contextmanager
def working_under(stop: Stop | None = None) -> Iterator[Stop]:
    """The body, and threads that are given its context, work under `stop`: else the current one, or a new one."""
    stop = stop or _current.get() or Stop()
    token = _current.set(stop)
    try:
        yield stop
    finally:
        _current.reset(token)


@contextmanager
def time_limit(seconds: float, reason: Callable[[], BaseException]) -> Iterator[Stop]:
    """The body works under a Stop that is asked when `seconds` have passed."""
    with working_under() as stop:
        timer = threading.Timer(seconds, stop.request, [reason])
        timer.daemon = True
        timer.start()
        try:
            yield stop
        finally:
            timer.cancel()
            timer.join()
