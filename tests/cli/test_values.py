"""Tests of option values."""

from __future__ import annotations

import pytest

from factory.cli import main
from factory.cli.values import count, duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("45s", 45), ("90m", 5400), ("5h30m", 19800), ("1h1m1s", 3661), ("2h5s", 7205)]
)
def test_durations_are_hours_minutes_and_seconds(text: str, seconds: int) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0m", "5", "5.5h", "-1h", "30m5h", "1 h", "soon", "h"])
def test_anything_else_is_refused_with_examples(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main.main(["build", "numpy", f"--time-limit={text}"])
    assert caught.value.code == 2
    expected = f"argument --time-limit: {text!r} is not a duration, such as 5h30m, 90m or 45s"
    assert expected in capsys.readouterr().err


def test_a_count_is_a_whole_number_from_one_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert count("12") == 12
    for text in ("0", "two", "1.5"):
        with pytest.raises(SystemExit):
            main.main(["build", "numpy", "--jobs", text])
        assert f"argument --jobs: {text!r} is not a whole number of at least 1" in capsys.readouterr().err
