"""Parsers of option values."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from factory.errors import StoreError
from factory.util.durations import parse_duration

MAX_PORT = 65535


def duration(text: str) -> int:
    """Parse `5h30m`, `90m` or `45s`; returns seconds.

    Raises:
        argparse.ArgumentTypeError: not a duration, or zero.
    """
    seconds = parse_duration(text)
    if seconds == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration, such as 5h30m, 90m or 45s")
    return seconds


def require_file(path: Path) -> None:
    """Require that a file that a command reads exists.

    Raises:
        StoreError: it does not, or is a folder.
    """
    if not path.is_file():
        raise StoreError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}", hint="name an existing file")


def folder_path(text: str) -> Path:
    """Parse the path of a folder, which may be missing.

    Raises:
        argparse.ArgumentTypeError: it, or a folder above it, is a file.
    """
    return _writable(Path(text))


def output_path(text: str) -> Path:
    """Parse the path of a file to write.

    Raises:
        argparse.ArgumentTypeError: it is a folder, or a folder above it is a file.
    """
    path = Path(text)
    if os.path.isdir(path):  # noqa: PTH112 - unlike Path.is_dir it takes any path
        raise argparse.ArgumentTypeError(f"{text}: is a folder: name a file")
    _writable(path.parent)
    return path


def _writable(path: Path) -> Path:
    for each in (path, *path.parents):
        if os.path.exists(each) and not os.path.isdir(each):  # noqa: PTH110, PTH112 - as above
            raise argparse.ArgumentTypeError(f"{each}: not a folder")
    return path


def count(text: str) -> int:
    """Parse a whole number of at least 1.

    Raises:
        argparse.ArgumentTypeError: not such a number.
    """
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def port(text: str) -> int:
    """Parse the number of a TCP port, or 0.

    Raises:
        argparse.ArgumentTypeError: not such a number.
    """
    if not text.isdecimal() or int(text) > MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: 0 to {MAX_PORT}")
    return int(text)
