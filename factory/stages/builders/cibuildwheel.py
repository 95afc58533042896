"""Builder of projects by their own cibuildwheel configuration.

The project's before-all, before-build, repair and test commands run unchanged, for one Python, in a container of our
manylinux image. Such a build is not sealed: its commands may install anything, so the network is on throughout, and the
versions of what they installed are only in the log.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from factory.errors import BuildFailed, CommandFailed
from factory.model.artifacts import BuiltWheel, PackagePin
from factory.model.protocols import INPUTS, SOURCE, Command
from factory.stages.builders.base import Build
from factory.stages.builders.cargo import needs_rust
from factory.stages.builders.pep517 import parallel_variables

IN_MANYLINUX = True
WHEELS = INPUTS / "wheels"


def install_requirements(build: Build, wheels: Sequence[Path]) -> tuple[PackagePin, ...]:
    """Offer `wheels`, our builds of some requirements; cibuildwheel installs the rest."""
    folder = build.sandbox.inputs / WHEELS.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for wheel in wheels:
        shutil.copy(wheel, folder / wheel.name)
    return (PackagePin(name="cibuildwheel", version=version("cibuildwheel")),)


def build_wheel(build: Build, requirements: tuple[PackagePin, ...]) -> BuiltWheel:
    """Run cibuildwheel for one Python; returns the wheel.

    Raises:
        BuildFailed: with the tail of its output.
    """
    shutil.rmtree(build.out, ignore_errors=True)
    # Outside of the folder that the container's commands can write: cibuildwheel itself is a program of the host.
    command = ["cibuildwheel", "--platform", "linux", "--archs", "riscv64", "--output-dir", str(build.out), "."]
    crates = needs_rust(build.metadata, build.recipe, build.python)
    whole = Command(command, env=_variables(build), cwd=SOURCE, network=True, crates=crates)
    try:
        build.sandbox.run(whole, log=build.log)
    except CommandFailed as error:
        raise build.failed("cibuildwheel failed", error, network=True) from error
    wheels = sorted(build.out.glob("*.whl"))
    if len(wheels) != 1:
        raise BuildFailed(f"{build.recipe.label}: cibuildwheel: made {len(wheels)} wheels, not one")
    return BuiltWheel(path=wheels[0], requirements=requirements)


def _variables(build: Build) -> dict[str, str]:
    """Return the variables of cibuildwheel (CIBW_...) and of the container."""
    options, python = build.recipe.build, build.python
    settings = options.config_settings
    words = [f"{name}={value}" for name, values in settings.items() for value in _each(values)]
    offered = {name: str(WHEELS) for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS")}
    return {
        **offered,
        **parallel_variables(build.jobs),
        **({"CIBW_CONFIG_SETTINGS": shlex.join(words)} if words else {}),
        **options.environment,
        "CIBW_BUILD": f"cp{python.replace('.', '')}-manylinux_riscv64",
    }


def _each(values: str | tuple[str, ...]) -> tuple[str, ...]:
    return (values,) if isinstance(values, str) else values
