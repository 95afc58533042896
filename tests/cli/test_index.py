from __future__ import annotations

import argparse
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from factory.cli.commands import index
from factory.cli.main import main
from factory.cli.own_wheels import OWN
from factory.cli.parser import make_parser
from factory.errors import FactoryError, PublishError, RecipeError, StoreError
from factory.model.artifacts import StoredWheel
from factory.publish.ledger import Ledger
from factory.publish.output_folder import STATE_FILE
from factory.publish.release import Mirrored
from factory.publish.reports import WheelReport, write_report
from factory.publish.wheel_metadata import describe_wheel
from factory.recipes.loader import RecipeProject
from factory.store.store import Store
from tests.support.ledgers import build
from tests.support.publications import stored
from tests.support.records import FAILURE
from tests.support.wheelmaker import make_wheel, release_of, tree_of


def run_index(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    index.configure(parser)
    return index.run(parser.parse_args(arguments))


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path / "cache"))
    mirrored = make_wheel(tmp_path / "cache/mirror", "needed")
    Ledger(tmp_path / "ledger").add(describe_wheel(mirrored, Mirrored()))
    return tmp_path / "out"


def test_what_there_is_and_the_lines_to_paste_are_printed(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_index("--output", str(output), "--ledger", str(output.parent / "ledger")) == 0
    shown = capsys.readouterr().out
    assert f"1 file, 0 new or changed, in {output}" in shown
    assert f"pip install --index-url {(output / 'simple').as_uri()} NAME" in shown


def test_a_program_gets_json(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_index("--output", str(output), "--ledger", str(output.parent / "ledger"), "--json")
    shown = json.loads(capsys.readouterr().out)
    (entry,) = shown["files"]
    assert (shown["refused"], shown["notes"]) == ([], [])
    assert (entry["filename"], entry["origin"], entry["new"]) == ("needed-1.0-py3-none-any.whl", "mirrored", False)


def test_project_page_offers_lock_files_of_the_settings(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = "https://wheels.example/riscv"
    (output.parent / "site.toml").write_text(f'url = "{site}/"\nlocks = ["Needed", "absent"]\n')
    assert run_index("--output", str(output), "--ledger", str(output.parent / "ledger")) == 0
    assert "factory: absent: cannot lock it: it is not published" in capsys.readouterr().err
    name = "project/needed/pylock.needed-cp313.toml"
    assert f"pip install -r {site}/{name}" in (output / "project/needed/index.html").read_text()
    assert f"{site}/files/needed-1.0-py3-none-any.whl" in (output / name).read_text()


def test_index_with_unwritable_reports_still_writes_pages(output: Path) -> None:
    failures = output.parent / "cache/store/failures"
    failures.mkdir(parents=True)
    (failures / "needed-3.13.json").write_text("{")
    with pytest.raises(StoreError, match=r"needed-3\.13\.json: file is damaged"):
        run_index("--output", str(output), "--ledger", str(output.parent / "ledger"))
    assert "needed-1.0-py3-none-any.whl" in (output / "simple/needed/index.html").read_text()


def test_failures_of_other_projects_are_not_published(output: Path) -> None:
    """The store also has those of recipes that someone tries in another project folder."""
    for name in ("numpy", "cchardet"):
        Store(output.parent / "cache/store").add_failure(replace(FAILURE, name=name))
    ledger = output.parent / "ledger"
    assert run_index("--output", str(output), "--ledger", str(ledger)) == 0
    assert [path.name for path in ledger.glob("*/failures/*")] == ["numpy-3.13.json"]


def test_index_pages_only_equals_full_index(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = output.parent / "ledger"
    options = ("--ledger", str(ledger), "--output")
    wheel = make_wheel(output.parent / "store", "demo")
    Ledger(ledger).add(release_of(wheel))
    write_report(ledger, "demo", WheelReport(filename=wheel.name, summary="", license="", build=build(logs=())))
    (output / "files").mkdir(parents=True)
    shutil.copy(wheel, output / "files")
    assert run_index(*options, str(output)) == 0
    whole = tree_of(output)
    for folder in (output, output.parent / "cache", wheel.parent):
        folder.rename(output.parent / f"{folder.name}-is-gone")
    capsys.readouterr()
    assert run_index(*options, str(output), "--pages-only") == 0
    written = tree_of(output)
    assert capsys.readouterr().out == f"{len(written) - 1} files new or changed in {output}\n"
    del written[STATE_FILE], whole[STATE_FILE]
    wheels = {name for name in whole if name.startswith("files/") and not name.endswith(".cdx.json")}
    assert written == {name: sha256 for name, sha256 in whole.items() if name not in wheels}
    assert f"files/{wheel.name}.cdx.json" in written
    assert main(["yank", "demo==1.0", "--reason", "wrong sums", *options, str(output)]) == 0
    told = f"update the pages: factory index --pages-only --output {output} --ledger {ledger}\n"
    assert capsys.readouterr().out.endswith(told)
    assert run_index(*options, str(output), "--pages-only") == 0
    assert 'data-yanked="wrong sums"' in (output / "simple/demo/index.html").read_text()


def test_index_with_strict_umask_is_readable(output: Path) -> None:
    """Another user's web server reads all files, also hard links of private ones."""
    ledger = output.parent / "ledger"
    wheel = make_wheel(output.parent / "cache/mirror", "demo")
    Ledger(ledger).add(release_of(wheel))
    wheel.chmod(0o600)
    before = os.umask(0o077)
    try:
        assert run_index("--output", str(output), "--ledger", str(ledger)) == 0
    finally:
        os.umask(before)
    modes = {path: path.stat().st_mode for path in (output, *output.rglob("*"))}
    assert {path for path, mode in modes.items() if mode & 0o044 != 0o044} == set()
    assert {path for path, mode in modes.items() if path.is_dir() and mode & 0o011 != 0o011} == set()
    assert (output / "files" / wheel.name) in modes


def test_pages_of_no_ledger_are_not_written(output: Path) -> None:
    with pytest.raises(PublishError, match=r"/wrong: no ledger in this folder") as caught:
        run_index("--output", str(output), "--ledger", str(output.parent / "wrong"), "--pages-only")
    assert "--ledger DIR" in str(caught.value.hint)
    assert not output.exists()


@pytest.mark.parametrize(("option", "needed"), [("--json", True), ("--pages-only", False), ("--verify", False)])
def test_only_publishing_uses_the_cache(option: str, needed: bool) -> None:
    args = make_parser().parse_args(["index", option])
    assert (args.needs_root, args.needs_cache) == (False, needed)


def of_recipe(recipe: str, project: str) -> RecipeProject:
    names = canonicalize_name(recipe), canonicalize_name(project)
    return RecipeProject(recipe=names[0], project=names[1], may_shadow=False, version="1.0", file_sha256="")


RECIPES = (of_recipe("engine", "engine"), of_recipe("maths-lp64", "maths"), of_recipe("other", "other"))


@pytest.fixture
def wheels(tmp_path: Path) -> list[StoredWheel]:
    requires = {
        "engine": ['maths>=1; platform_machine == "riscv64"', 'other; platform_machine == "x86_64"', "elsewhere"],
        "maths": ["engine"],
        "other": [],
    }
    return [stored(make_wheel(tmp_path, name, requires=needs)) for name, needs in requires.items()]


@pytest.mark.parametrize(
    ("names", "chosen", "offered"),
    [
        ((), ["engine", "maths", "other"], []),
        (("engine",), ["engine"], ["maths", "other"]),
        (("Maths_LP64",), ["maths"], ["engine", "other"]),
        (("other", "engine"), ["engine", "other"], ["maths"]),
    ],
)
def test_wheels_of_recipes_are_chosen_or_offered(
    wheels: list[StoredWheel], names: tuple[str, ...], chosen: list[str], offered: list[str]
) -> None:
    selected = index.select(wheels, names, RECIPES)
    assert [[each.project for each in wheels] for wheels in selected] == [chosen, offered]


@pytest.mark.parametrize(
    ("name", "error", "hint"),
    [
        ("foreign", RecipeError("there is no recipe for 'foreign'"), "known recipes: engine, maths-lp64, other"),
        ("other", PublishError("other: no checked wheel in the store"), "run: factory build other"),
    ],
)
def test_name_without_recipe_or_wheel_is_refused(
    wheels: list[StoredWheel], name: str, error: FactoryError, hint: str
) -> None:
    with pytest.raises(type(error), match=f"^{error.message}") as caught:
        index.select(wheels[:2], [name], RECIPES)
    assert caught.value.hint == hint


@pytest.mark.usefixtures("upstream")
def test_index_with_refused_wheel_is_written_and_fails(
    output: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = [
        make_wheel(output.parent / "made", "demo"),
        make_wheel(output.parent / "made", "lost", requires=["nowhere"]),
    ]
    monkeypatch.setattr(Store, "published_candidates", lambda _store, _rank: dict.fromkeys(map(stored, made), OWN))
    projects = [of_recipe(name, name) for name in ("demo", "lost")]
    monkeypatch.setattr(index, "recipe_projects", lambda _root: (projects, []))
    assert run_index("--output", str(output), "--ledger", str(output.parent / "ledger")) == PublishError.exit_code
    shown = capsys.readouterr()
    assert "factory: lost==1.0: cannot resolve for riscv64" in shown.err
    assert f"2 files, 1 new or changed, 1 refused, in {output}" in shown.out
    assert (output / "simple/demo/index.html").is_file()
    assert not (output / "simple/lost").exists()


def test_names_belong_to_publishing_alone(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["demo", "--verify"], ["--mirror", "--pages-only"], ["--force", "--verify"]):
        with pytest.raises(SystemExit):
            run_index(*words)
        assert "not allowed with argument" in capsys.readouterr().err


def test_pages_are_either_written_or_proved(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        make_parser().parse_args(["index", "--pages-only", "--verify"])
    assert "--verify: not allowed with argument --pages-only" in capsys.readouterr().err


def test_index_check_links_needs_verify(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run_index("--check-links")
    assert caught.value.code == 2
    assert "--verify" in capsys.readouterr().err
