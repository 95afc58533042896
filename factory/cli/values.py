"""Parsers of option values."""

from __future__ import annotations

import argparse

from factory.util.durations import parse_duration


def duration(text: str) -> int:
    """Parse `5h30m`, `90m` or `45s`; returns seconds.

    Raises:
        argparse.ArgumentTypeError: not a duration, or zero.
    """
    seconds = parse_duration(text)
    if seconds == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration, such as 5h30m, 90m or 45s")
    return seconds


def count(text: str) -> int:
    """Parse a whole number of at least 1.

    Raises:
        argparse.ArgumentTypeError: not such a number.
    """
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)
