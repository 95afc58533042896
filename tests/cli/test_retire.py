"""`factory retire`: its table and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from factory.cli.commands import retire
from factory.cli.parser import parse_arguments
from factory.errors import RecipeError
from tests.support import elf_images
from tests.support.index_server import IndexServer
from tests.support.plants import LIBRARY, PLAIN, VECTOR
from tests.support.projects import make_project
from tests.support.recipes import SMALLEST, write

SHADOWS = SMALLEST.replace("[source]", "shadows-upstream = true\n[source]")


@pytest.fixture
def project(tmp_path: Path, index: IndexServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write recipes of spam and eggs, which are on the index, and of ham, which is not."""
    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "checkout"
    make_project(root, SHADOWS)
    write(root / "recipes", SHADOWS.replace("spam", "eggs"), "eggs")
    write(root / "recipes", SMALLEST.replace("spam", "ham"), "ham")
    index.add("eggs-1.0.tar.gz", b"")
    monkeypatch.chdir(root)
    return root


def serve_wheel(index: IndexServer, folder: Path, image: elf_images.Image) -> str:
    path = elf_images.wheel(folder, {LIBRARY: image.build()}, name="spam-1.0")
    index.add(path.name, path.read_bytes())
    return path.name


def test_retire_says_why_recipes_are_kept(
    project: Path, index: IndexServer, capsys: pytest.CaptureFixture[str]
) -> None:
    name = serve_wheel(index, project, VECTOR)
    assert retire.run(parse_arguments(["retire"])) == 0
    heading, first, second, others = capsys.readouterr().out.splitlines()
    assert heading.split()[0] == "recipe"
    assert first.split()[:4] == ["spam", "1.0", "1.0", "1"]
    assert "keep: no wheel for Python 3.14" in first
    assert "keep: audit: " in second
    assert LIBRARY in second
    assert others == "projects without riscv64 wheels: eggs"
    assert retire.run(parse_arguments(["retire", "spam", "--json"])) == 0
    (verdict,) = json.loads(capsys.readouterr().out)
    assert (list(verdict["audits"]), verdict["retire"]) == ([name], False)


def test_retire_proposes_recipe_with_good_wheels(
    project: Path, index: IndexServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("factory.pipeline.retire.PYTHONS", ("3.13",))
    serve_wheel(index, project, PLAIN)
    assert retire.run(parse_arguments(["retire", "spam"])) == 0
    assert capsys.readouterr().out.splitlines()[1].rstrip().endswith("may be retired (audit: clean)")


def test_retire_names_project_that_index_lacks(
    project: Path, index: IndexServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert retire.run(parse_arguments(["retire", "ham"])) == 0
    assert "no such project" in capsys.readouterr().out


def test_retire_unknown_name_is_an_error(project: Path) -> None:
    with pytest.raises(RecipeError, match="no recipe for 'spma'"):
        retire.run(parse_arguments(["retire", "spma"]))


def test_retire_json_has_recipes_that_cannot_be_read(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(project / "recipes", "[package", "draft")
    assert retire.run(parse_arguments(["retire", "--json"])) == 0
    draft = json.loads(capsys.readouterr().out)[-1]
    assert (draft["name"], draft["retire"]) == ("draft", False)
    assert "draft/recipe.toml:1: not TOML" in draft["reasons"][0]
