"""Tests of kernels.toml: its values, and the errors for its mistakes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from factory.bench.kernels.definition import (
    FILE,
    FOLDER,
    PATCHED,
    UPSTREAM,
    KernelSet,
    driver_path,
    has_kernels,
    read_kernels,
    select,
)
from factory.errors import RecipeError
from factory.model.recipe import Recipe
from factory.recipes.reader import read_file
from tests.support.checkouts import ROOT
from tests.support.recipes import SMALLEST, load_recipe, write

KERNELS = """
flags = ["-O2"]
[upstream]
k1 = ["-march=rv64gcv"]
[patched]
k1 = []
vlen1024 = []
[drivers.sums.cases]
sum = { macs = 1000, rows = 1, bits = 32 }
"total sum" = { macs = 2000, rows = 8, bits = 16, arguments = ["total"] }
"""


def recipe_with(root: Path, text: str) -> Recipe:
    folder = write(root, SMALLEST)
    (folder / "kernels").mkdir()
    (folder / "kernels/kernels.toml").write_text(text)
    (folder / "kernels/sums.cpp").touch()
    return load_recipe(folder)


def kernels_of(folder: Path) -> KernelSet:
    return read_kernels(recipe_with(folder, KERNELS))


def test_kernels_have_cases_by_driver(tmp_path: Path) -> None:
    cases = kernels_of(tmp_path).drivers["sums"].cases
    assert (cases["sum"].macs, cases["sum"].arguments, cases["sum"].moves) == (1000, (), 1)
    assert (cases["total sum"].rows, cases["total sum"].arguments) == (8, ("total",))


def test_profiles_are_those_with_flags_in_order(tmp_path: Path) -> None:
    kernels = kernels_of(tmp_path)
    assert kernels.profiles == ("k1", "vlen1024")
    assert kernels.flags_of(UPSTREAM, "k1") == ("-march=rv64gcv",)
    assert kernels.flags_of(PATCHED, "vlen1024") == ()
    assert kernels.flags_of(UPSTREAM, "vlen1024") is None


def test_recipe_without_kernels_has_none(tmp_path: Path) -> None:
    assert not has_kernels(load_recipe(write(tmp_path, SMALLEST)))
    assert has_kernels(recipe_with(tmp_path, KERNELS))


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("macs = 1000", "mac = 1000", "macs"),
        ("k1 = []", "k2 = []", "patched.k2"),
        ("drivers.sums", "drivers.product", r"product\.cpp"),
        ('flags = ["-O2"]', 'includes = ["../other"]', "includes"),
    ],
)
def test_mistake_in_kernels_names_file_and_key(tmp_path: Path, old: str, new: str, key: str) -> None:
    with pytest.raises(RecipeError, match=rf"(?s)kernels\.toml.*{key}"):
        read_kernels(recipe_with(tmp_path, KERNELS.replace(old, new)))


def test_select_without_names_returns_all_cases(tmp_path: Path) -> None:
    kernels = kernels_of(tmp_path)
    assert list(select(kernels, (), tmp_path)["sums"]) == ["sum", "total sum"]
    assert list(select(kernels, ("total sum",), tmp_path)["sums"]) == ["total sum"]
    with pytest.raises(RecipeError, match=r"kernels\.toml: no case 'max'\n  hint: .*sum, total sum"):
        select(kernels, ("max",), tmp_path)


def test_drivers_of_vllm_know_their_cases() -> None:
    folder = ROOT / "recipes/vllm" / FOLDER
    kernels = read_file(folder / FILE, KernelSet)
    assert kernels.profiles == ("rvv128", "k1", "rva23", "vlen1024")
    for name, driver in kernels.drivers.items():
        source = driver_path(folder, name).read_text()
        assert set(driver.cases) == set(re.findall(r'\{"([^"]+)", ', source))
