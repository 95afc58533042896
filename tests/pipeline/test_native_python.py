"""Wheels of the native Python and of the riscv64 one: their bytes are the same."""

from __future__ import annotations

import json
import os
import re
import shutil
import tomllib
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from factory.store.store import Store
from factory.util.paths import default_layout
from tests.support.checkouts import ONE_PROFILE, ROOT, Checkout, add_recipe, make_cache

EMULATED = "emulated-python = true\n"
# Said where the backend imports compiled code.
NEEDS_EMULATED = ": needs the riscv64 Python: "
# Setuptools, scikit-build-core and maturin.
PACKAGES = ("stable-c", "speed-cpp", "words-rust")
# PyTorch compiles for hours; a repacked package has no build backend.
TOO_LONG = {"torch", "torch-debian"}
# The Python of the repacked one: for others, what needs PyTorch would compile it.
WITH_PYTORCH = "3.14"
# Recipes that may be built on either Python.
RECIPES = sorted(
    path.parent.name
    for path in ROOT.glob("recipes/*/recipe.toml")
    if path.parent.name not in TOO_LONG and "emulated-python" not in path.read_text()
)
SMOKE = """
import json, os
facts = {"shown": "installed", "facts": {}, "tokens": [], "logits": []}
open(os.environ["FACTORY_RESULT"], "w").write(json.dumps(facts))
"""

PYPROJECT = """
[build-system]
requires = ["setuptools>=77"]
build-backend = "backend"
backend-path = ["."]
"""
SETUP = """
from setuptools import Extension, setup
setup(name="half-made", version="1.0", license="MIT", ext_modules=[Extension("half_made", ["half_made.c"])])
"""
EXTENSION = """
#include <Python.h>
static PyModuleDef module = {PyModuleDef_HEAD_INIT, "half_made"};
PyMODINIT_FUNC PyInit_half_made(void) { return PyModuleDef_Init(&module); }
"""
# A hook opens files that it takes for whole if they exist, and needs the riscv64 Python before it writes them.
BACKEND = """
import ctypes
from pathlib import Path
from setuptools import build_meta

def make_files(*places):
    missing = [path for path in map(Path, places) if not path.exists()]
    for path in missing:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    ctypes.CDLL("libm.so.6")
    for path in missing:
        path.write_text("whole")
    assert all(path.read_text() == "whole" for path in map(Path, places)), places

def get_requires_for_build_wheel(config_settings=None):
    if HOOK == "get_requires_for_build_wheel":
        make_files("made.txt", "build/.ninja_log", "/build/made.txt")
    return []

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    if HOOK == "build_wheel":
        made = ["made.txt", "build/.ninja_log", "/build/objects/.ninja_log", "/build/venv/made.txt", "/build/made.txt"]
        make_files(*made, "/root/made.txt", "/tmp/made.txt", "/usr/made.txt")
    return build_meta.build_wheel(wheel_directory, config_settings)
"""


def require_same_wheel(checkout: Checkout, name: str, *options: str) -> str:
    """Build a package on each Python, require the same bytes, and return what the first build said.

    Records that the store has of it are removed.
    """
    own = canonicalize_name(name)
    for path in (checkout.cache / "store/records").glob("*.json"):
        if json.loads(path.read_text())["name"] == own:
            path.unlink()
    recipe = checkout.root / f"recipes/{name}/recipe.toml"
    text = recipe.read_text()
    said = []
    for option in ("", EMULATED):
        recipe.write_text(with_build_option(text, option))
        finished = checkout.factory("build", name, *options)
        assert finished.returncode == 0, finished.stderr[-5000:]
        said.append(finished.stderr)
    records = Store(checkout.cache / "store").records_of(own)[-2:]
    native = "riscv64" if NEEDS_EMULATED in said[0] else "x86-64"
    assert [record.backend_machine for record in records] == [native, "riscv64"]
    assert records[0].wheel_sha256 == records[1].wheel_sha256
    return said[0]


def with_build_option(text: str, option: str) -> str:
    """Add a line to the recipe's table [build]."""
    if "[build]\n" in text:
        return text.replace("[build]\n", f"[build]\n{option}", 1)
    return f"{text}\n[build]\n{option}"


@pytest.mark.environment
@pytest.mark.parametrize("name", PACKAGES)
def test_both_pythons_make_the_same_wheel(
    name: str, tmp_path: Path, layout: object, hybrid: object, clean_root: object
) -> None:
    add_recipe(tmp_path, name, more=ONE_PROFILE, smoke=SMOKE)
    said = require_same_wheel(Checkout(root=tmp_path, cache=make_cache(tmp_path / "cache", default_layout())), name)
    assert NEEDS_EMULATED not in said


@pytest.mark.environment
@pytest.mark.parametrize("hook", ["get_requires_for_build_wheel", "build_wheel"])
def test_half_made_files_are_gone_on_the_riscv64_python(
    hook: str, tmp_path: Path, layout: object, hybrid: object, clean_root: object
) -> None:
    """The next process takes for whole what one that was ended left of a file."""
    source = tmp_path / "packages/half-made"
    source.mkdir(parents=True)
    texts = {"pyproject.toml": PYPROJECT, "setup.py": SETUP, "half_made.c": EXTENSION}
    for name, text in {**texts, "backend.py": f"HOOK = {hook!r}\n{BACKEND}"}.items():
        (source / name).write_text(text)
    add_recipe(tmp_path, "half-made", more=ONE_PROFILE, smoke=SMOKE, packages=source.parent)
    checkout = Checkout(root=tmp_path, cache=make_cache(tmp_path / "cache", default_layout()))
    finished = checkout.factory("build", "half-made")
    assert finished.returncode == 0, finished.stderr[-5000:]
    assert "half-made 1.0: needs the riscv64 Python: library 'libm.so.6'" in finished.stderr
    (record,) = Store(checkout.cache / "store").records_of("half-made")
    assert record.backend_machine == "riscv64"


@pytest.mark.main_job
@pytest.mark.long
@pytest.mark.parametrize("name", RECIPES)
def test_both_pythons_make_the_same_wheel_of_recipe(name: str, tmp_path: Path) -> None:
    """Compiled objects and other wheels are this machine's. The recipe's own check would take longer than the build."""
    for folder in ("recipes", "patches"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    replace_check(tmp_path / "recipes", name)
    machine, cache = default_layout(), make_cache(tmp_path / "cache", default_layout())
    shutil.copytree(machine.store, cache / "store", copy_function=os.link)
    for path in (machine.compiler_caches, machine.downloads):
        (cache / path.relative_to(machine.root)).symlink_to(path)
    require_same_wheel(Checkout(root=tmp_path, cache=cache), name, "--python", WITH_PYTORCH)


def replace_check(recipes: Path, name: str) -> None:
    """Replace a recipe's check, and that of the recipe it is based on, by one that only installs the wheel."""
    recipe = recipes / name / "recipe.toml"
    base = tomllib.loads(recipe.read_text())["package"].get("based-on")
    tables = re.split(r"(?m)^(?=\[)", recipe.read_text())
    recipe.write_text("".join(table for table in tables if not table.startswith("[check")) + f"\n{ONE_PROFILE}")
    (recipes / name / "smoke.py").write_text(SMOKE)
    if base:
        replace_check(recipes, base)


def test_recipes_have_at_most_one_build_table() -> None:
    for name in RECIPES:
        text = with_build_option((ROOT / f"recipes/{name}/recipe.toml").read_text(), EMULATED)
        assert tomllib.loads(text)["build"]["emulated-python"] is True
