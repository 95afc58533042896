"""Tests of the number of parallel compilers in real builds."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.model.job import ProjectMetadata
from factory.model.protocols import SOURCE, Command, Sandbox
from factory.model.recipe import BuildOptions, Recipe
from factory.stages.builders import pep517
from factory.stages.builders.base import Build
from factory.stages.environments.rootfs import RootfsEnvironment
from factory.stages.sources.local import LocalSource
from tests.support.logs import MemoryLog

pytestmark = pytest.mark.environment

# A compiler that takes its time over a source file, and notes when another one is at work.
COMPILER = """#!/bin/sh
case "$*" in *part*.c*) ;; *) exec gcc "$@" ;; esac
mkdir /build/busy || echo "$*" >> /build/overlapping
sleep 0.3
gcc "$@"
status=$?
rmdir /build/busy
exit $status
"""
PARTS = [f"part{number}" for number in range(4)]
MESON = f"""
project('parts', 'c', version: '1.0')
import('python').find_installation().extension_module('parts', {[f"{part}.c" for part in PARTS]}, install: true)
"""
MAKE = f"all: {' '.join(f'{part}.o' for part in PARTS)}\n%.o: %.c\n\t$(CC) -c $< -o $@\n"


def make_recipe() -> Recipe:
    pin = LocalSource(project="parts", version="1.0", path=Path("parts"))
    options = BuildOptions(environment={"CC": "/build/compiler", "CCACHE_DISABLE": "1"})
    return Recipe(name="parts", version="1.0", directory=Path("parts"), source=pin, build=options)


def write_sources(sandbox: Sandbox) -> Path:
    source = sandbox.work / "src"
    source.mkdir()
    for part in PARTS:
        (source / f"{part}.c").write_text(f"int {part}(void) {{ return 0; }}\n")
    (sandbox.work / "compiler").write_text(COMPILER)
    (sandbox.work / "compiler").chmod(0o755)
    return source


@pytest.mark.parametrize(("jobs", "overlapping"), [(1, False), (2, True)])
def test_make_takes_the_number_from_the_variables(
    jobs: int, overlapping: bool, hybrid: RootfsEnvironment, tmp_path: Path, log: MemoryLog
) -> None:
    with hybrid.open(tmp_path / "work", caches="test") as sandbox:
        (write_sources(sandbox) / "Makefile").write_text(MAKE)
        sandbox.run(
            Command(["make"], cwd=SOURCE, env=pep517.variables("setuptools.build_meta", make_recipe(), jobs)), log=log
        )
        assert (sandbox.work / "overlapping").exists() is overlapping, log.text


def test_ninja_below_meson_takes_the_number_too(hybrid: RootfsEnvironment, tmp_path: Path, log: MemoryLog) -> None:
    recipe = make_recipe()
    metadata = ProjectMetadata(
        name="parts", version="1.0", build_backend="mesonpy", build_requires=("meson-python>=0.17",)
    )
    with hybrid.open(tmp_path / "work", caches="test") as sandbox:
        source = write_sources(sandbox)
        (source / "meson.build").write_text(MESON)
        (source / "pyproject.toml").write_text('[project]\nname = "parts"\nversion = "1.0"\n')
        build = Build(
            sandbox=sandbox, folder=sandbox.work.parent, recipe=recipe, metadata=metadata, python="3.13", log=log
        )
        built = pep517.build_wheel(build, pep517.install_requirements(build, ()))
        assert built.path.name == "parts-1.0-cp313-cp313-linux_riscv64.whl"
        assert not (sandbox.work / "overlapping").exists(), log.text
