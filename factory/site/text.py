"""Values as people read them, and text of strangers made harmless to look at."""

from __future__ import annotations

import re
from urllib.parse import quote

HARMLESS = "\N{REPLACEMENT CHARACTER}"
# Control characters but for tabs and newlines; what reverses, hides or joins text; halves of surrogate pairs.
HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\U0001d173-\U0001d17a\U000e0000-\U000e0fff\ud800-\udfff]"
)
COMBINING = re.compile(
    "([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{3})"
    "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)
MINUTE, HOUR = 60, 3600


def harmless(value: object) -> object:
    """Text without characters that a page, a feed or a reader's eye can be deceived with; other values as they are."""
    if not isinstance(value, str) or (value.isascii() and value.isprintable()):
        return value
    cleaned = COMBINING.sub(r"\1", HARMFUL.sub(HARMLESS, value))
    return value if cleaned == value else type(value)(cleaned)


def size(count: int) -> str:
    """Bytes, as in `21.9 MB`."""
    if count < 1000:
        return f"{count} B"
    for unit in ("kB", "MB", "GB"):
        count_of_unit = count / {"kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]
        if count_of_unit < 999.5 or unit == "GB":
            return f"{count_of_unit:.1f} {unit}" if count_of_unit < 99.95 else f"{count_of_unit:,.0f} {unit}"
    raise AssertionError


def duration(seconds: float) -> str:
    """Seconds, as in `4 min 21 s`."""
    whole = round(seconds)
    if whole < MINUTE:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE} s"
    return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"


def day(time: str) -> str:
    """The day of an ISO 8601 time."""
    return time[:10]


def path_quoted(text: str) -> str:
    """Text as one part of a URL's path."""
    return quote(text, safe="")
