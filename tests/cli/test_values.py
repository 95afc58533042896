"""Tests of option values."""

from __future__ import annotations

from argparse import ArgumentTypeError, _SubParsersAction
from pathlib import Path

import pytest

from factory.cli import main
from factory.cli.commands import COMMANDS
from factory.cli.parser import make_parser
from factory.cli.values import count, duration, folder_path, output_path
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


def test_folder_path_refuses_files(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in ("", "missing/below", "x" * 300):
        assert folder_path(f"{tmp_path}/{path}") == tmp_path / path
    for path in ("file", "file/below"):
        with pytest.raises(ArgumentTypeError, match=r"/file: not a folder$"):
            folder_path(f"{tmp_path}/{path}")


def test_output_path_refuses_folders(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in ("file", "missing/below", "x" * 300):
        assert output_path(f"{tmp_path}/{path}") == tmp_path / path
    for path, cause in (("", "is a folder: name a file"), ("file/below", "/file: not a folder")):
        with pytest.raises(ArgumentTypeError, match=f"{cause}$"):
            output_path(f"{tmp_path}/{path}")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_output_refuses_the_wrong_kind(command: str, tmp_path: Path) -> None:
    """A folder that is a file is refused before the work whose result it is to hold."""
    (tmp_path / "pylock.toml").mkdir()
    (tmp_path / "file").touch()
    for action in make_parser([command])._actions:
        if isinstance(action, _SubParsersAction):
            (parser,) = (each for name, each in action.choices.items() if name == command)
            for option in parser._actions:
                if "--output" in option.option_strings:
                    wrong = "file" if option.metavar == "DIR" else "pylock.toml"
                    assert callable(option.type)
                    with pytest.raises(ArgumentTypeError, match="a folder"):
                        option.type(str(tmp_path / wrong))
