"""Numbers with their nouns, as text."""

from __future__ import annotations


def quantity(number: int, noun: str, plural: str = "") -> str:
    """Format a number with its noun, as in `1 file` and `1,200 files`.

    `plural` is for nouns whose plural has more than an added s.
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
