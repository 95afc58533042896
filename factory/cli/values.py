"""Parsers of option values."""

from __future__ import annotations

import argparse
import re

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


def duration(text: str) -> int:
    """Parse `5h30m`, `90m` or `45s`; returns seconds.

    Raises:
        argparse.ArgumentTypeError: not a duration, or zero.
    """
    match = _DURATION.fullmatch(text)
    seconds = 0
    if match is not None:
        hours, minutes, rest = (int(number or 0) for number in match.groups())
        seconds = hours * 3600 + minutes * 60 + rest
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
