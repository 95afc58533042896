"""Options between and after names, suggestions, and wrong command lines as JSON."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from contextlib import suppress

import pytest

from factory.cli.commands import COMMANDS
from factory.cli.main import main
from factory.cli.parser import make_parser, parse_arguments


@pytest.mark.parametrize(
    "line",
    [
        "build a b --python 3.14 --json",
        "build a --python 3.14 b --json",
        "build --json a --python=3.14 b",
        "build --python 3.14 --json a b",
    ],
)
def test_options_may_be_between_names(line: str) -> None:
    args = parse_arguments(line.split())
    assert (args.names, args.python, args.json) == (["a", "b"], ["3.14"], True)


def test_options_of_nested_commands_follow_names() -> None:
    args = parse_arguments(["bench", "instructions", "numpy", "--case", "sum", "--json"])
    assert (args.name, args.case, args.json, args.needs_root) == ("numpy", ["sum"], True, True)
    args = parse_arguments(["cache", "info"])
    assert (args.needs_root, args.needs_cache, args.reads_cache) == (False, False, True)


@pytest.mark.parametrize(
    ("line", "suggested"),
    [
        ("biuld numpy", "'build'"),
        ("cache inof", "'info'"),
        ("build numpy --pyhton 3.13", "'--python'"),
        ("build numpy --tolchain=gcc", "'--toolchain'"),
        ("check numpy --profile rvv12", "'rvv128'"),
    ],
)
def test_unknown_word_gets_a_suggestion(line: str, suggested: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(line.split())
    assert caught.value.code == 2
    assert f"did you mean {suggested}?" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["build --json", "plan numpy --pyhton 3.13 --json", "biuld --json", "doctor x --json"])
def test_wrong_command_line_with_json_is_json(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(line.split())
    assert caught.value.code == 2
    shown = capsys.readouterr()
    answer = json.loads(shown.out)
    assert answer["error"] in shown.err
    assert answer["hint"].endswith(" --help")


@pytest.mark.parametrize("command", COMMANDS)
def test_command_without_arguments_asks_for_required_ones(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The error named COMMAND of `factory shell` too, which may be left out."""
    actions = make_parser([command])._actions
    (choices,) = (action.choices for action in actions if isinstance(action, argparse._SubParsersAction))
    optional = {str(action.metavar) for action in choices[command]._actions if action.nargs in ("*", "?")}
    with suppress(SystemExit):
        parse_arguments([command])
    asked = capsys.readouterr().err.partition("are required: ")[2].strip().split(", ")
    assert optional.isdisjoint(asked)


def test_profile_belongs_to_the_shell_of_a_check(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["shell", "numpy", "--profile", "k1"])
    assert caught.value.code == 2
    assert "--profile: not allowed without argument --check" in capsys.readouterr().err


def test_module_of_the_package_is_the_command() -> None:
    shown = subprocess.run([sys.executable, "-m", "factory", "--version"], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("factory ")
