"""Cancellation of a run, by a time limit or by its user.

A run has a `Stop`, its cancellation token. Long operations check it before they start, and register how to end them
while they run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Stop:
    """A thread-safe cancellation token."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reason: Callable[[], BaseException] | None = None
        self._ends: list[Callable[[], None]] = []

    def request(self, reason: Callable[[], BaseException]) -> None:
        """Cancel: end running operations and prevent new ones, which raise `reason()`.

        Returns when all have ended.
        """
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
        """True once the run is cancelled."""
        return self._reason is not None

    def reason(self) -> BaseException:
        """Return the exception for which the run is cancelled."""
        assert self._reason is not None, "only a cancelled run has a reason"
        return self._reason()

    def check(self) -> None:
        """Raise the reason if the run is cancelled."""
        if self._reason is not None:
            raise self._reason()

    def wait(self, seconds: float) -> None:
        """Wait; raise the reason as soon as the run is cancelled."""
        cancelled = threading.Event()
        with self.ended_by(cancelled.set):
            cancelled.wait(seconds)
        self.check()

    @contextmanager
    def ended_by(self, end: Callable[[], None]) -> Iterator[None]:
        """Register `end()` as the way to end the body early."""
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
    """Return this thread's Stop; outside of a run, one that is never requested."""
    return _current.get() or _never


@contextmanager
def working_under(stop: Stop | None = None) -> Iterator[Stop]:
    """Use `stop` (default: the current or a new one) in the body and its threads."""
    stop = stop or _current.get() or Stop()
    token = _current.set(stop)
    try:
        yield stop
    finally:
        _current.reset(token)


@contextmanager
def nested() -> Iterator[Stop]:
    """Use an own Stop in the body, which is also requested when the outer one is."""
    outer, inner = current(), Stop()
    with outer.ended_by(lambda: inner.request(outer.reason)), working_under(inner):
        yield inner


@contextmanager
def time_limit(seconds: float, reason: Callable[[], BaseException]) -> Iterator[Stop]:
    """Cancel the body, and nothing around it, when `seconds` have passed."""
    with nested() as stop:
        timer = threading.Timer(seconds, stop.request, [reason])
        timer.daemon = True
        timer.start()
        try:
            yield stop
        finally:
            timer.cancel()
            timer.join()
