"""`factory setup`: install prerequisites, register QEMU, make the riscv64 roots."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Sequence

from factory.cli.options import add_mode_options, add_pythons_option, make_run, wanted_pythons
from factory.errors import PrerequisiteMissing
from factory.host.doctor import missing_packages, require_ready
from factory.host.privileges import become_root
from factory.pipeline.run import Run
from factory.stages.environments.base import RootRequest
from factory.stages.environments.debian.layers import DebianLayers
from factory.util.process import attach
from factory.util.process import run as run_command

INSTALL = ("apt-get", "install", "--yes", "--no-install-recommends")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_pythons_option(parser)
    add_mode_options(parser)


def run(args: argparse.Namespace) -> int:
    """Set the machine up; finished steps are not repeated."""
    packages = missing_packages()
    chosen = make_run(args)
    if packages and os.geteuid() == 0:
        _install(packages, chosen)
    elif packages:
        _install_through_sudo(packages)
    become_root()
    DebianLayers(chosen.roots.store).register_qemu()
    require_ready(chosen.layout, chosen.config.environment)
    for python in wanted_pythons(args):
        chosen.roots.check_root(python)
        chosen.roots.build_root(RootRequest(python=python))
    chosen.reporter.line("ready: factory build NAME")
    return 0


def _install(packages: Sequence[str], run: Run) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with run.stages("host")("packages") as log:
        run_command(["apt-get", "update"], log=log, env=environment)
        run_command([*INSTALL, *packages], log=log, env=environment, what=f"apt-get install {' '.join(packages)}")


def _install_through_sudo(packages: Sequence[str]) -> None:
    """Install the packages that a user namespace needs; sudo may ask for a password.

    Raises:
        PrerequisiteMissing: there is no sudo, or it failed.
    """
    install = " ".join((*INSTALL, *packages))
    if shutil.which("sudo") is None:
        raise PrerequisiteMissing(
            f"setup: cannot install {', '.join(packages)}: there is no sudo", hint=f"run as root: {install}"
        )
    for command in (("apt-get", "update"), (*INSTALL, *packages)):
        if attach(["sudo", "DEBIAN_FRONTEND=noninteractive", *command]) != 0:
            raise PrerequisiteMissing(f"setup: sudo {' '.join(command)} failed", hint=f"sudo {install}")
