"""Tests of backends' settings: build folder and number of compilers."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.errors import BuildFailed
from factory.model.recipe import BuildOptions, Recipe
from factory.stages.builders.pep517 import config_settings, require_remote, variables
from factory.stages.sources.pypi import PypiSource


def recipe(**options: object) -> Recipe:
    pin = PypiSource(project="x", version="1", sha256="0" * 64)
    build = BuildOptions(**options)  # type: ignore[arg-type]
    return Recipe(name="x", version="1", directory=Path("x"), source=pin, build=build)


def test_parallel_variables_limit_compilers() -> None:
    told = variables("setuptools.build_meta", recipe(), jobs=3)
    assert told["MAKEFLAGS"] == "-j3"
    names = ("CMAKE_BUILD_PARALLEL_LEVEL", "MAX_JOBS", "NPY_NUM_BUILD_JOBS", "CARGO_BUILD_JOBS")
    assert {told[name] for name in names} == {"3"}


def test_recipe_variables_override_defaults() -> None:
    assert variables("mesonpy", recipe(environment={"MAKEFLAGS": ""}), jobs=3)["MAKEFLAGS"] == ""


@pytest.mark.parametrize("own", ["-v", ("-v",)])
def test_meson_compile_args_have_jobs_then_recipe_arguments(own: str | tuple[str, ...]) -> None:
    assert config_settings("mesonpy", recipe(), 3) == {"build-dir": "/build/objects", "compile-args": ["-j3"]}
    settings = config_settings("mesonpy", recipe(config_settings={"compile-args": own}), 3)
    assert settings["compile-args"] == ["-j3", "-v"]


@pytest.mark.parametrize(
    ("backend", "listed"),
    [("mesonpy", True), ("scikit_build_core.build", True), ("setuptools.build_meta", False)],
)
def test_ccache_depend_mode_is_on_for_ninja_backends(backend: str, listed: bool) -> None:
    assert ("CCACHE_DEPEND" in variables(backend, recipe(), jobs=3)) is listed


def test_other_backends_get_the_recipes_settings_alone() -> None:
    assert config_settings("setuptools.build_meta", recipe(config_settings={"a": "b"}), 3) == {"a": "b"}


@pytest.mark.parametrize(
    "text", ["a", "a[b]>=1; python_version > '3'", "a @ https://h/a.whl", "a @ git+https://h/a@v1"]
)
def test_build_requirement_of_an_index_is_accepted(text: str) -> None:
    require_remote(text, recipe())


@pytest.mark.parametrize(
    "text",
    [
        *("a @ file:///build/src", "a @ git+file:///build/src", "a @ /build/src", "a @ ./src", "/build/src", "-e ."),
        *("a @ https://h/${UV_INDEX_URL}", "a @ ${X}", "a @ ssh://h/a", None, ["a"]),
    ],
)
def test_build_requirement_of_the_source_is_refused(text: object) -> None:
    """The installer would run its code with the network, and replaces variables in addresses."""
    with pytest.raises(BuildFailed, match="build requirement"):
        require_remote(text, recipe())
