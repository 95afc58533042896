"""`factory diff`: mistakes on its command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.cli.commands import diff
from factory.cli.parser import parse_arguments
from factory.errors import EnvironmentSetupError, FactoryError, RecipeError
from tests.support.checkouts import make_checkout


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a recipe of vectors-c, in a cache without roots."""
    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path / "cache"))
    make_checkout(tmp_path / "checkout", tmp_path / "cache")
    monkeypatch.chdir(tmp_path / "checkout")
    return tmp_path / "checkout"


def refusal(*arguments: str) -> FactoryError:
    with pytest.raises(FactoryError) as caught:
        diff.run(parse_arguments(["diff", *arguments]))
    return caught.value


@pytest.mark.parametrize("option", ["--subject", "--description"])
def test_diff_needs_both_fields_of_the_header(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        diff.run(parse_arguments(["diff", "vectors-c", option, "Say more"]))
    assert caught.value.code == 2
    assert "--subject and --description" in capsys.readouterr().err


def test_diff_unknown_name_is_an_error(project: Path) -> None:
    error = refusal("vectors-d")
    assert isinstance(error, RecipeError)
    assert error.hint == "did you mean 'vectors-c'?"


def test_diff_makes_no_root(project: Path) -> None:
    error = refusal("vectors-c")
    assert isinstance(error, EnvironmentSetupError)
    assert "not made yet" in error.message
