"""Tests of printable text: what builds print cannot command a terminal or GitHub's runner."""

from __future__ import annotations

import pytest

from factory.cli.printable import printable


@pytest.mark.parametrize("text", ["\x1b[2J", "\x1b]0;title\x07", "a\rb", "\x9b31m", "\u202egpj.exe", "\x00"])
def test_terminal_gets_no_control_characters(text: str) -> None:
    assert not set(printable(text)) & set("\x1b\x07\r\x9b\u202e\x00")


def test_colours_go_and_lines_stay() -> None:
    assert printable("\x1b[31mred\x1b[0m\n\tnext") == "red\n\tnext"


@pytest.mark.parametrize("line", ["::set-env name=x::1", "  ::add-path::/x", "a\n::error::x", "\t::stop-commands::t"])
def test_runner_gets_no_commands_at_line_starts(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert not any(each.strip().startswith("::") for each in printable(line).splitlines())


def test_runner_gets_no_commands_of_the_old_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert "##[" not in printable("x ##[group]y")


def test_colons_elsewhere_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert printable("std::vector and a::b") == "std::vector and a::b"
