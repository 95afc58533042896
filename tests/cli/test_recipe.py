"""`factory recipe schema`, and the configuration by which editors find the schema."""

from __future__ import annotations

import tomllib

import pytest

from factory.cli import main
from tests.support.checkouts import ROOT


def test_recipe_schema_is_that_of_the_docs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["recipe", "schema"]) == 0
    assert capsys.readouterr().out == (ROOT / "docs/recipe.schema.json").read_text()


def test_recipe_without_action_names_the_actions(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main.main(["recipe"])
    assert caught.value.code == 2
    assert "ACTION" in capsys.readouterr().err


def test_taplo_finds_schema_and_recipes() -> None:
    (rule,) = tomllib.loads((ROOT / ".taplo.toml").read_text())["rule"]
    assert (ROOT / rule["schema"]["path"]).is_file()
    assert len(list(ROOT.glob(rule["include"][0]))) > 20
