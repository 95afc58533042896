"""Tests of option values."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.cli import main
from factory.cli.values import count, duration
from factory.errors import StoreError


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


def test_missing_wheel_is_no_finding_of_the_audit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path, cause in ((tmp_path / "demo-1.0-py3-none-any.whl", "no such file"), (tmp_path, "is a folder")):
        assert main.main(["audit", str(path)]) == StoreError.exit_code
        assert f"factory: {path}: {cause}" in capsys.readouterr().err
