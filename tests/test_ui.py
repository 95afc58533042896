"""What a run looks like: on a terminal, in a log, and on GitHub Actions."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from factory.ui import Reporter, print_table


def reported(tmp_path: Path, *, terminal: bool = False) -> str:
    """What one stage that logs one line prints."""
    console = Console(file=io.StringIO(), force_terminal=terminal, width=80, highlight=False)
    with Reporter(console).stage("numpy 2.5.5", "build", tmp_path / "build.log") as log:
        log.write("[1/2] compiling [bold]x.c[/bold]\n")
    assert (tmp_path / "build.log").read_text() == "[1/2] compiling [bold]x.c[/bold]\n"
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_a_log_gets_a_line_at_the_start_and_one_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    started, done = reported(tmp_path).splitlines()
    assert started == "numpy 2.5.5: build: started"
    assert done.startswith("numpy 2.5.5: build: done in 0.")


def test_github_actions_gets_the_whole_log_in_a_fold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    lines = reported(tmp_path).splitlines()
    assert lines[:3] == ["::group::numpy 2.5.5: build", "[1/2] compiling [bold]x.c[/bold]", "::endgroup::"]


def test_a_terminal_shows_the_last_line_while_it_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    shown = reported(tmp_path, terminal=True)
    assert "numpy 2.5.5: build: started" not in shown
    assert "numpy 2.5.5: build: done in" in shown


def test_a_table_in_a_file_is_not_broken_into_lines(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("wheel", "sha256"), [("w" * 90 + ".whl", "s" * 64)])
    assert f"{'w' * 90}.whl  {'s' * 64}" in capsys.readouterr().out
