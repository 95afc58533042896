"""Retirement: which wheels of a project count, and the verdicts on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pypi_simple import DistributionPackage

from factory.cli.console import Reporter
from factory.errors import SourceError
from factory.model.recipe import AuditOptions, Recipe
from factory.model.target import PYTHONS
from factory.pipeline.retire import CLEAN, NO_WHEEL, PASSED, audit, judge, reasons_to_keep, upstream_wheels
from factory.pipeline.run import Run
from factory.recipes.recipe_set import RecipeSet
from factory.util.paths import Layout
from tests.support import elf_images
from tests.support.index_files import sdist, wheel
from tests.support.index_server import IndexServer
from tests.support.plants import LIBRARY, PLAIN, VECTOR
from tests.support.projects import make_project

ABI3 = "cp39-abi3-manylinux_2_31_riscv64"
CP313 = "cp313-cp313-manylinux_2_39_riscv64"


@pytest.fixture
def recipes(tmp_path: Path) -> RecipeSet:
    return make_project(tmp_path)


@pytest.fixture
def recipe(recipes: RecipeSet) -> Recipe:
    return recipes.find("spam")


def chosen(recipe: Recipe, *files: DistributionPackage) -> tuple[str, set[str]] | None:
    found = upstream_wheels(files, recipe)
    return None if found is None else (found.version, set(found.files))


@pytest.mark.parametrize(
    "file",
    [
        sdist("1.0"),
        wheel("py3-none-any"),
        wheel("cp313-cp313-manylinux_2_39_x86_64"),
        wheel("cp313-cp313-musllinux_1_2_riscv64"),
        wheel("cp313-cp313-manylinux_2_40_riscv64"),
        wheel("cp313-cp313-linux_riscv64"),
        wheel(CP313, is_yanked=True),
        wheel(CP313, digests={}),
        wheel(CP313, version=None),
    ],
    ids=lambda file: file.filename,
)
def test_upstream_file_that_no_board_takes_is_left_out(recipe: Recipe, file: DistributionPackage) -> None:
    assert chosen(recipe, file) is None


def test_upstream_wheels_are_of_the_recipes_version_or_newest(recipe: Recipe) -> None:
    files = [wheel(ABI3, "0.9"), wheel(ABI3, "1.0"), wheel(ABI3, "1.1")]
    assert chosen(recipe, *files) == ("1.0", set(PYTHONS))
    assert chosen(replace(recipe, version="0.8"), *files) == ("1.1", set(PYTHONS))


def test_upstream_wheels_serve_pythons_by_tag_and_requirement(recipe: Recipe) -> None:
    assert chosen(recipe, wheel(CP313)) == ("1.0", {"3.13"})
    assert chosen(recipe, wheel(ABI3, requires_python="<3.14")) == ("1.0", {"3.13"})
    found = upstream_wheels([wheel(ABI3)], recipe)
    assert found is not None
    assert [python for python, _ in found.distinct.values()] == ["3.13"]


def test_audit_of_baseline_code_is_clean(tmp_path: Path, recipe: Recipe) -> None:
    assert audit(elf_images.wheel(tmp_path, {LIBRARY: PLAIN.build()}), recipe) == CLEAN


def test_audit_names_code_beyond_the_baseline(tmp_path: Path, recipe: Recipe) -> None:
    path = elf_images.wheel(tmp_path, {"demo/kernels_v.so": VECTOR.build()})
    assert "demo/kernels_v.so" in audit(path, recipe)
    declared = replace(recipe, audit=AuditOptions(dispatched=("demo/*_v.so", "spam.libs/other*.so")))
    assert audit(path, declared) == f"{CLEAN}, dispatched: demo/kernels_v.so"


def test_audit_of_no_wheel_is_no_verdict(tmp_path: Path, recipe: Recipe) -> None:
    path = tmp_path / f"spam-1.0-{CP313}.whl"
    path.write_bytes(b"garbage")
    assert not audit(path, recipe).startswith(CLEAN)


def test_reasons_to_keep_are_all_told(recipe: Recipe) -> None:
    old = upstream_wheels([wheel(CP313, "0.9")], recipe)
    assert old is not None
    beyond, name = "demo.so: 3 x V", wheel(CP313, "0.9").filename
    assert list(reasons_to_keep(recipe, old, {name: beyond}, {name: "spam: check failed\nlog"})) == [
        "its wheels are older than 1.0",
        "no wheel for Python 3.14",
        f"audit: {beyond}",
        "check: spam: check failed",
    ]
    *_, last = reasons_to_keep(recipe, old, {name: beyond}, {name: PASSED})
    assert "dispatched" in last


def test_good_wheels_leave_no_reason(recipe: Recipe) -> None:
    found = upstream_wheels([wheel(ABI3, "1.1")], recipe)
    assert found is not None
    assert list(reasons_to_keep(recipe, found, {"x": f"{CLEAN}, dispatched: y"}, {"x": PASSED})) == []


def run_of(recipes: RecipeSet) -> Run:
    return Run(layout=Layout(recipes.folder / "cache"), recipes=recipes, reporter=Reporter())


def test_judge_downloads_and_audits(index: IndexServer, recipes: RecipeSet, recipe: Recipe, tmp_path: Path) -> None:
    run, name = run_of(recipes), f"spam-1.0-{ABI3}.whl"
    index.add("spam-1.0.tar.gz", b"")
    assert judge(recipe, run, with_check=False).reasons == (NO_WHEEL,)
    good = elf_images.wheel(tmp_path, {"demo/x.abi3.so": PLAIN.build()}, tag=ABI3, name="spam-1.0")
    index.add(name, good.read_bytes())
    verdict = judge(recipe, run, with_check=False)
    assert (verdict.upstream, verdict.audits, verdict.reasons) == ("1.0", {name: CLEAN}, ())


def test_judge_of_project_that_index_lacks_is_told(index: IndexServer, recipes: RecipeSet, recipe: Recipe) -> None:
    (reason,) = judge(recipe, run_of(recipes), with_check=False).reasons
    assert "no such project" in reason


def test_judge_without_index_is_an_error(recipes: RecipeSet, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("factory.host.index_session.BACKOFF_SECONDS", 0.001)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")
    with pytest.raises(SourceError) as caught:
        judge(recipe, run_of(recipes), with_check=False)
    assert caught.value.machines_fault
