"""Durations as text."""

from __future__ import annotations

import re

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


def parse_duration(text: str) -> int:
    """Return the seconds of `5h30m`, `90m` or `45s`; 0 for other text."""
    match = _DURATION.fullmatch(text)
    hours, minutes, rest = (int(number or 0) for number in match.groups()) if match else (0, 0, 0)
    return hours * 3600 + minutes * 60 + rest


def show_duration(seconds: float) -> str:
    """Format seconds as `5 min 30 s`."""
    minutes, rest = divmod(round(seconds), 60)
    parts = [f"{minutes} min"] if minutes else []
    return " ".join([*parts, f"{rest} s"] if rest or not parts else parts)


def time_taken(seconds: float) -> str:
    """Format seconds that were measured, as `5 min 30 s`, or `1.5 s` below a minute."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
