"""The builder for projects that know best how they are built: by their own configuration for cibuildwheel.

The project's before-all, before-build, repair and test commands run as they are written, for one Python, in a container
of our manylinux image. Such a build is not sealed: those commands install what they please, so the network is on from
the beginning to the end, and the versions of what they installed are in the log alone.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from factory.errors import BuildFailed, CommandFailed
from factory.model.artifacts import BuiltWheel, PackagePin
from factory.model.job import ProjectMetadata
from factory.model.protocols import BUILD, SOURCE, Command, Sandbox
from factory.model.recipe import Recipe
from factory.stages.builders.base import build_failed
from factory.stages.builders.pep517 import parallel_variables
from factory.util.log import LogSink

IN_MANYLINUX = True
WHEELS = BUILD / "wheels"


def install_requirements(
    sandbox: Sandbox, metadata: ProjectMetadata, recipe: Recipe, python: str, wheels: Sequence[Path], log: LogSink
) -> tuple[PackagePin, ...]:
    """Offer `wheels`, our own builds of some of the requirements; the rest is cibuildwheel's to install."""
    folder = sandbox.work / WHEELS.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for wheel in wheels:
        shutil.copy(wheel, folder / wheel.name)
    return (PackagePin(name="cibuildwheel", version=version("cibuildwheel")),)


def build(
    sandbox: Sandbox,
    metadata: ProjectMetadata,
    recipe: Recipe,
    python: str,
    requirements: tuple[PackagePin, ...],
    jobs: int,
    log: LogSink,
) -> BuiltWheel:
    """Run cibuildwheel for one Python and return the wheel that it made, in work/wheel.

    Raises:
        BuildFailed: with the tail of its output.
    """
    out = sandbox.work / "wheel"
    shutil.rmtree(out, ignore_errors=True)
    command = ["cibuildwheel", "--platform", "linux", "--archs", "riscv64", "--output-dir", "../wheel", "."]
    try:
        sandbox.run(Command(command, env=_variables(recipe, python, jobs), cwd=SOURCE, network=True), log=log)
    except CommandFailed as error:
        raise build_failed(recipe, "cibuildwheel could not build it", error, log, network=True) from error
    wheels = sorted(out.glob("*.whl"))
    if len(wheels) != 1:
        raise BuildFailed(f"{recipe.label}: cibuildwheel made {len(wheels)} wheels for one Python; one was expected")
    return BuiltWheel(path=wheels[0], requirements=requirements)


def _variables(recipe: Recipe, python: str, jobs: int) -> dict[str, str]:
    """What cibuildwheel (CIBW_...) and the container start with."""
    settings = recipe.build.config_settings
    words = [f"{name}={value}" for name, values in settings.items() for value in _each(values)]
    offered = {name: str(WHEELS) for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS")}
    return {
        **offered,
        **parallel_variables(jobs),
        **({"CIBW_CONFIG_SETTINGS": shlex.join(words)} if words else {}),
        **recipe.build.environment,
        "CIBW_BUILD": f"cp{python.replace('.', '')}-manylinux_riscv64",
    }


def _each(values: str | tuple[str, ...]) -> tuple[str, ...]:
    return (values,) if isinstance(values, str) else values
