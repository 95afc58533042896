"""Values of options that argparse can't read by itself."""

from __future__ import annotations

import argparse
import re

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


def duration(text: str) -> int:
    """`5h30m`, `90m` or `45s` in seconds.

    Raises:
        argparse.ArgumentTypeError: it is none, or no time at all.
    """
    match = _DURATION.fullmatch(text)
    seconds = 0
    if match is not None:
        hours, minutes, rest = (int(number or 0) for number in match.groups())
        seconds = hours * 3600 + minutes * 60 + rest
    if seconds == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration; write it like 5h30m, 90m or 45s")
    return seconds


def count(text: str) -> int:
    """A whole number from 1 on.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)
