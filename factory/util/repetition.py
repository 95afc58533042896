"""Repetition: an action in a thread of its own, now and then while a body runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def repeated(seconds: float, act: Callable[[], bool | None]) -> Iterator[None]:
    """Call `act` every `seconds` while the body runs, until it returns true."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(seconds):
            if act():
                return

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
