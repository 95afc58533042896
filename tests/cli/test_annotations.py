"""Annotations on GitHub."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.cli.annotations import annotate
from factory.cli.main import main
from tests.support.projects import make_project
from tests.support.recipes import SMALLEST


@pytest.fixture
def on_github(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_mistakes_are_annotated_at_their_lines(on_github: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_project(on_github, SMALLEST + "x = 1\n[build]\nrust = false\n")
    for command in (["lint"], ["lint", "spam", "--json"]):
        assert main(command) == 3
        shown = capsys.readouterr().err.splitlines()
        assert "::error file=recipes/spam/recipe.toml,line=7::source.x: unknown key" in shown


def test_other_error_is_annotated_by_its_first_line(on_github: Path, capsys: pytest.CaptureFixture[str]) -> None:
    annotate("demo 1.0: build failed:\n::warning::of the package\n100%")
    assert capsys.readouterr().err == "::error::demo 1.0: build failed:\n"


def test_annotation_of_odd_text_is_one_command(on_github: Path, capsys: pytest.CaptureFixture[str]) -> None:
    annotate("a,b.toml:3: 100% ::set-env\rx")
    shown = capsys.readouterr().err
    assert shown.startswith("::error file=a%2Cb.toml,line=3::100%25 ")
    assert shown.count("\n") == 1


def test_nothing_is_annotated_elsewhere(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    annotate("a.toml:3: wrong")
    assert capsys.readouterr().err == ""
