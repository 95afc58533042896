"""Locks between processes and threads; a lock ends with its process."""

from __future__ import annotations

import fcntl
import os
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


# Descriptors of the files that this process uses, open until it ends.
_USED: dict[tuple[int, int], int] = {}


def use(path: Path) -> bool:
    """Mark a file as used until this process ends, however it ends.

    Waits for one that removes it; False if it is missing or was removed.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    identity = _identity(os.fstat(descriptor))
    try:
        is_there = _identity(path.stat()) == identity
    except FileNotFoundError:
        is_there = False
    if is_there and identity not in _USED:
        _USED[identity] = descriptor
    else:
        os.close(descriptor)
    return is_there


@contextmanager
def unused(path: Path) -> Iterator[bool]:
    """Keep others from using a file during the body; yields false if one does already."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield True
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


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
