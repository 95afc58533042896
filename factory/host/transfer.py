"""HTTP transfers with limits: time to an answer, least rate, size; ended by cancellation.

A server can hang in any phase, or send one byte now and then. The read timeout of requests starts again with each
byte, and its bodies have no limit in size.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import copy_context
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3.response import BaseHTTPResponse

from factory.util import cancellation
from factory.util.quantities import quantity

T = TypeVar("T")

# From the request to the head of the answer, with all attempts.
ANSWER_SECONDS = 300.0
# Average over this time of waiting below which a transfer ends.
RATE_SECONDS = 60.0
LEAST_BYTES_PER_SECOND = 1024
# A page of an index, unpacked; the largest known ones have some megabytes.
PAGE_BYTES = 32 * 1024**2
# Any other body: more than the largest files that are published.
FILE_BYTES = 16 * 1024**3
CHUNK_BYTES = 64 * 1024


class TransferLimit(requests.RequestException):
    """A transfer that exceeded a limit."""


class LimitedAdapter(HTTPAdapter):
    """An adapter whose requests and bodies keep the limits of this module."""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        """Send a request; a body has at most PAGE_BYTES, one that the caller streams FILE_BYTES."""
        response = interruptible(lambda: super(LimitedAdapter, self).send(request, **options), ANSWER_SECONDS)
        whole = not options.get("stream") or response.is_redirect
        response.raw = _LimitedBody(response.raw, PAGE_BYTES if whole else FILE_BYTES)
        return response


def interruptible(call: Callable[[], T], seconds: float) -> T:
    """Return `call()`, run in a thread that is abandoned after `seconds` or on cancellation.

    Raises:
        TransferLimit: the time has passed.
        BaseException: what `call` raised, or the reason of the cancellation.
    """
    stop, finished = cancellation.current(), threading.Event()
    stop.check()
    results: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(call())
        except BaseException as error:
            errors.append(error)
        finished.set()

    threading.Thread(target=copy_context().run, args=(work,), name="request", daemon=True).start()
    with stop.ended_by(finished.set):
        in_time = finished.wait(seconds)
    stop.check()
    if errors:
        raise errors[0]
    if not in_time:
        raise TransferLimit(f"the server has not answered for {seconds:.0f} s")
    return results[0]


class _LimitedBody:
    """The body of an answer: `limit` bytes at most, at the least rate."""

    def __init__(self, raw: BaseHTTPResponse, limit: int) -> None:
        self._raw = raw
        self._limit = limit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def stream(self, amt: int = CHUNK_BYTES, decode_content: bool | None = None) -> Iterator[bytes]:
        """Yield the pieces as they arrive, of at most `amt` bytes."""
        stop, rate, total = cancellation.current(), _Rate(), 0
        with stop.ended_by(self._wake):
            while piece := self._read(rate, amt, decode_content):
                stop.check()
                total += len(piece)
                if total > self._limit:
                    raise TransferLimit(f"the answer is larger than {self._limit / 1e6:.0f} MB")
                yield piece
        stop.check()  # a body without a length ends where _wake ended the connection

    def _read(self, rate: _Rate, amount: int, decode_content: bool | None) -> bytes:
        try:
            with rate.waiting():
                piece = self._raw.read1(amount, decode_content=decode_content)
        except Exception:
            cancellation.current().check()
            raise
        rate.add(len(piece))
        return piece

    def _wake(self) -> None:
        """End a read that another thread waits in."""
        with contextlib.suppress(OSError, RuntimeError, ValueError):
            self._raw.shutdown()


class _Rate:
    """Average rate of a transfer, over the time that was spent waiting for it."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._bytes = 0

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        started = time.monotonic()
        yield
        self._seconds += time.monotonic() - started

    def add(self, size: int) -> None:
        """Add the bytes of the last wait.

        Raises:
            TransferLimit: they and those before it came too slowly.
        """
        self._bytes += size
        if self._seconds < RATE_SECONDS:
            return
        if size and self._bytes < LEAST_BYTES_PER_SECOND * self._seconds:
            raise TransferLimit(f"the server sent {quantity(self._bytes, 'byte')} in {self._seconds:.0f} s")
        self._seconds, self._bytes = 0.0, 0
