"""Completion of command lines, asked for as bash does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from factory.cli import main
from factory.cli.completion import SHELLS, words_before_cursor
from tests.support.projects import make_project

# What bash does for a line, with the code that `factory completion bash` prints.
ASK = """
eval "$(factory completion bash)"
COMP_LINE="$1" COMP_POINT=${#1} COMP_TYPE=9
read -ra COMP_WORDS <<< "$1"
[ "${1: -1}" = " " ] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_python_argcomplete factory
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write the recipe `spam`, and a program `factory` that is this one."""
    make_project(tmp_path)
    program = tmp_path / "bin/factory"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m factory.cli "$@"\n')
    program.chmod(0o755)
    return tmp_path


def completions(folder: Path, line: str) -> list[str]:
    environment = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    command = ["bash", "-c", ASK, "bash", line]
    asked = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return [word.strip() for word in asked.stdout.splitlines()]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("factory bui", ["build"]),
        ("factory build s", ["spam"]),
        ("factory check spam --profile k", ["k1", "k1-ime"]),
        ("factory cache pr", ["prune"]),
        ("factory plan spam --expl", ["--explain"]),
        ("factory recipe ", ["--help", "schema"]),
    ],
)
def test_bash_completes_words(folder: Path, line: str, expected: list[str]) -> None:
    assert sorted(completions(folder, line)) == expected


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_prints_code_of_each_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["completion", shell]) == 0
    shown = capsys.readouterr().out
    assert "factory" in shown
    assert "_ARGCOMPLETE" in shown


def test_completion_of_unknown_shell_names_the_known(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main.main(["completion", "csh"])
    assert caught.value.code == 2
    refusal = capsys.readouterr().err
    assert [shell for shell in SHELLS if shell in refusal] == list(SHELLS)


@pytest.mark.parametrize(
    ("line", "point", "words"),
    [
        ("factory bui", 11, []),
        ("factory build nu", 16, ["build"]),
        ("factory build nu", 10, []),
        ("  factory  build ", 17, ["build"]),
        ("", 0, []),
    ],
)
def test_words_before_cursor_are_the_finished_ones(
    monkeypatch: pytest.MonkeyPatch, line: str, point: int, words: list[str]
) -> None:
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_POINT", str(point))
    assert words_before_cursor() == words
