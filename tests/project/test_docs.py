"""Tests of the documents: their commands, links and paths are valid."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from factory.cli.packages_page import measure, render_packages
from factory.cli.parser import make_parser
from factory.recipes.loader import RECIPE_FILE, load_recipe
from factory.recipes.recipe_set import RecipeSet
from factory.stages.sources.kinds import SOURCE_KINDS

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
README_LINES = (".ci/nox demo", ".ci/nox lint tests")
# Code in backticks that is a path of the repository; words in capitals are placeholders.
PATH = re.compile(r"`((?:factory|tests|docs|recipes|patches|benchmarks|index|\.github|\.ci)/[^`\s]*)`")
PLACEHOLDER = re.compile(r"\b[A-Z]{3,}\b")


def code_lines(document: Path) -> list[str]:
    return [line.strip() for line in document.read_text().splitlines() if line.startswith("    ")]


def factory_lines(document: Path) -> list[str]:
    lines = [part.strip() for line in code_lines(document) for part in line.partition("#")[0].split("&&")]
    return [line for line in lines if line.startswith("factory ")]


def test_documented_workflow_keeps_cache_of_failed_run() -> None:
    """`actions/cache` alone saves nothing after a failed step."""
    steps = re.split(r"^ *- (?=uses: |run: )", (ROOT / "docs/run-a-factory.md").read_text(), flags=re.MULTILINE)[1:]
    words = ("actions/cache/restore@", "factory cache import", "factory build", "factory cache export", "cache/save@")
    places = [next((place for place, step in enumerate(steps) if word in step), -1) for word in words]
    assert -1 < places[0] < places[1] < places[2] < places[3] < places[4], places
    assert all("if: always()" in steps[place] for place in places[3:])
    paths, keys = (
        {re.findall(rf"^ *{name}: (.*)$", steps[place], re.MULTILINE)[0] for place in (places[0], places[4])}
        for name in ("path", "key")
    )
    assert paths == {"factory-cache.tar.zst"}
    assert keys == {"factory-${{ github.run_id }}-${{ github.run_attempt }}"}
    assert not any("uses: actions/cache@" in step for step in steps)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_document_commands_are_valid(document: Path) -> None:
    for line in factory_lines(document):
        make_parser().parse_args(shlex.split(line)[1:])


def test_readme_commands_are_run_by_workflow() -> None:
    readme = code_lines(ROOT / "README.md")
    workflow = (ROOT / ".github/workflows/checks.yml").read_text()
    for line in README_LINES:
        assert line in readme
        assert f"- run: {line}\n" in workflow


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_document_links_exist(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
        assert (document.parent / target).is_file(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_document_anchors_exist(document: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", document.read_text()):
        text = (document.parent / target if target else document).read_text()
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, anchor


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_document_paths_exist(name: str) -> None:
    paths = [path for path in PATH.findall((ROOT / name).read_text()) if not PLACEHOLDER.search(path)]
    assert len(paths) > 10
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_recipe_of_guide_is_valid_and_publishable(tmp_path: Path) -> None:
    lines = code_lines(ROOT / "docs/add-a-recipe.md")
    recipe = "\n".join(lines[lines.index("[package]") : lines.index("import json, os")])
    folder = tmp_path / "some-package"
    folder.mkdir()
    (folder / RECIPE_FILE).write_text(recipe.replace("the source distribution's, 64 hexadecimal digits", "0" * 64))
    assert load_recipe(folder, SOURCE_KINDS).shadows_upstream


def test_default_profiles_are_documented() -> None:
    text = (ROOT / "docs/add-a-recipe.md").read_text()
    assert [name for name in ("rv64gc", "rvv128", "k1", "rva23", "vlen1024") if name not in text] == []


def test_page_of_packages_agrees_with_recipes() -> None:
    """Builds are not known here: the page's own are kept where the version is the same."""
    recipes = RecipeSet(ROOT, SOURCE_KINDS)
    sizes = [measure(recipe, recipes.patches) for recipe in recipes.by_name.values()]
    page = (ROOT / "docs/packages.md").read_text()
    assert render_packages(sizes, (), page) == page, "run: factory report --packages docs/packages.md"


def test_files_name_no_registry_host() -> None:
    hosts = re.compile(r"(pypi\.org|pythonhosted\.org|deb\.debian\.org|crates\.io|npmjs\.org|huggingface\.co)")
    files = [
        path
        for folder in ("factory", "recipes", "docs", "patches", "benchmarks")
        for path in (ROOT / folder).rglob("*.*")
    ]
    named = [
        path
        for path in (*files, ROOT / "README.md")
        if path.is_file() and hosts.search(path.read_text(errors="replace"))
    ]
    assert [path for path in named if "__pycache__" not in path.parts] == []
