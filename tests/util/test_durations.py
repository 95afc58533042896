"""Durations as text."""

from __future__ import annotations

import pytest

from factory.util.durations import parse_duration, show_duration


@pytest.mark.parametrize(("text", "seconds"), [("4h", 14400), ("1h30m", 5400), ("45s", 45), ("", 0), ("5 min", 0)])
def test_durations_of_recipes_and_options_are_parsed(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0 s"), (59.6, "1 min"), (330, "5 min 30 s"), (14400, "240 min")])
def test_seconds_are_shown_with_minutes(seconds: float, text: str) -> None:
    assert show_duration(seconds) == text
