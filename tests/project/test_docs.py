"""What the documents tell people to type is what the programs take."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from factory.cli.main import make_parser
from factory.recipes.loader import RECIPE_FILE, load_recipe

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
README_LINES = (".ci/nox demo", ".ci/nox lint tests")


def code_lines(document: Path) -> list[str]:
    return [line.strip() for line in document.read_text().splitlines() if line.startswith("    ")]


def factory_lines(document: Path) -> list[str]:
    lines = [part.strip() for line in code_lines(document) for part in line.partition("#")[0].split("&&")]
    return [line for line in lines if line.startswith("factory ")]


def test_every_command_line_in_a_workflow_is_a_valid_one() -> None:
    text = "\n".join(path.read_text() for path in (ROOT / ".github/workflows").glob("*.yml"))
    lines = re.findall(r"(?:run: |; (?:then )?)factory ([^;\n]+)", text)
    commands = ("setup", "build", "check", "cache")
    assert len(lines) == sum(text.count(f"factory {command}") for command in commands) >= 4
    for line in lines:
        make_parser().parse_args(shlex.split(line))


@pytest.mark.parametrize("document", [".github/workflows/builds.yml", "docs/run-a-factory.md"])
def test_what_a_run_that_failed_has_built_is_there_in_the_next_one(document: str) -> None:
    steps = re.split(r"^ *- (?=uses: |run: )", (ROOT / document).read_text(), flags=re.MULTILINE)[1:]
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
    assert not any("uses: actions/cache@" in step for step in steps), "it saves nothing where a step failed"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_line_in_a_document_is_a_valid_one(document: Path) -> None:
    for line in factory_lines(document):
        make_parser().parse_args(shlex.split(line)[1:])


def test_the_readme_has_two_commands_and_the_workflow_runs_both() -> None:
    readme = code_lines(ROOT / "README.md")
    workflow = (ROOT / ".github/workflows/checks.yml").read_text()
    for line in README_LINES:
        assert line in readme
        assert f"- run: {line}\n" in workflow


def test_links_between_documents_lead_somewhere() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).is_file(), f"{document.name}: {target}"


def test_the_recipe_that_the_guide_begins_with_is_a_valid_one_that_may_be_published(tmp_path: Path) -> None:
    lines = code_lines(ROOT / "docs/add-a-recipe.md")
    recipe = "\n".join(lines[lines.index("[package]") : lines.index("import json, os")])
    folder = tmp_path / "some-package"
    folder.mkdir()
    (folder / RECIPE_FILE).write_text(recipe.replace("the source distribution's, 64 hexadecimal digits", "0" * 64))
    assert load_recipe(folder).shadows_upstream, "the package index has what kind = pypi takes from it"


def test_the_default_profiles_are_documented() -> None:
    text = (ROOT / "docs/add-a-recipe.md").read_text()
    assert [name for name in ("rv64gc", "rvv128", "k1", "rva23", "vlen1024") if name not in text] == []


def test_no_document_recipe_or_module_names_a_registrys_host() -> None:
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
