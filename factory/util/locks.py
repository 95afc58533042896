"""Locks between processes and threads; a lock ends with its process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from factory.util import cancellation

POLL_SECONDS = 0.2


@contextmanager
def held(path: Path, say_waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock file `path`; wait for it after `say_waiting()`."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say_waiting()
        _wait_for(lock)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def held_if_free(path: Path) -> Iterator[bool]:
    """Hold the lock file `path` if it is free; yields whether it is held."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _wait_for(lock: FileLock) -> None:
    while not lock.is_locked:
        cancellation.current().check()
        try:
            lock.acquire(timeout=POLL_SECONDS)
        except Timeout:
            continue
